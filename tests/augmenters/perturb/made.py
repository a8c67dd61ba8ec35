"""What the tests of perturbations share: what the rules make of one text."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.perturb import Phrase, PhraseSwap
from pairsmith.augmenters.perturb.edits import Change, Perturbation, apply

DATA = Path(__file__).parents[2] / "data" / "perturbations"


def every(augmenter: Perturbation, text: str) -> set[str]:
    """Return all views that the augmenter may make of the text, whatever the key."""
    return {apply(text, change) for change in augmenter.changes(text)}


def views(rules: Callable[[str], Iterable[Change]], text: str) -> set[str]:
    """Return all views that one language's rules may make of the text."""
    return {apply(text, change) for change in rules(text)}


def view(augmenter: Perturbation, text: str, key: int) -> tuple[str | None, dict | None]:
    """Return the view of the text with the key, and its details."""
    made = augmenter.views(pa.array([text]), np.array([key], np.uint64))
    detail = made.details[0].as_py()
    return made.texts[0].as_py(), None if detail is None else json.loads(detail)


def phrases_en() -> PhraseSwap:
    """Return the swap of names that was fitted to the sentences of `phrase_swap_en.jsonl`."""
    kinds = json.loads((DATA / "phrases_en.json").read_text("utf-8"))
    return PhraseSwap(tuple(Phrase(text, kind) for kind in kinds for text in kinds[kind]))
