"""Ids of texts: cut once, kept beside the shards, read in place of texts."""
