"""Input files -> documents -> blocks of units."""
