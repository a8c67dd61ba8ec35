"""Documents -> pairs -> shards."""
