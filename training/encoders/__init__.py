"""Texts -> unit vectors: what is trained, and how it is saved for others."""
