"""Which rows make up which batch, and reading them: order, shuffle, look-ahead, threads."""
