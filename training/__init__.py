"""Shards -> batches -> loss -> encoder."""
