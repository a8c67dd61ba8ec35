"""Texts rewritten by a language model behind an OpenAI-compatible endpoint.

Importing this loads nothing heavy; httpx loads at `setup()` or first use.
"""

from pairsmith.augmenters.rewriting.ledger import Spent, spent
from pairsmith.augmenters.rewriting.prompts import (
    HARD_NEGATIVE,
    PARAPHRASE,
    QUESTION,
    SUMMARY,
    Prompt,
)
from pairsmith.augmenters.rewriting.rewrite import Rewrite
from pairsmith.augmenters.unfinished import UnfinishedUserError

__all__ = [
    "HARD_NEGATIVE",
    "PARAPHRASE",
    "QUESTION",
    "SUMMARY",
    "Prompt",
    "Rewrite",
    "Spent",
    "UnfinishedUserError",
    "spent",
]
