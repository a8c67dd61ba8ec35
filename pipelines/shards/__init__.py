"""Pairs -> shards."""
