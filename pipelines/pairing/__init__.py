"""Blocks of units -> pairs."""
