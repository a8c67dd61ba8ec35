"""Losses over a batch of pairs, in memory linear in the batch, on one rank or many."""
