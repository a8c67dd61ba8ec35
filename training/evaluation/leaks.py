"""Evaluation texts that are among the pairs: a score on them says little, so nothing is trained."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.schemas import UserError, text_hashes
from pairsmith.training.evaluation.gold import (
    intents,
    judgements,
    labelled_pairs,
    similarities,
    translations,
)
from pairsmith.training.evaluation.scores import EvaluationConfig, Tasks
from pairsmith.training.streaming.row_groups import Shard, read, row_groups
from pairsmith.training.telemetry.journal import say

WORDS = 5
CHARACTERS = 8
_WORD = r"\S+"
_UNSPACED = (
    r"[\x{0E00}-\x{0EFF}\x{1000}-\x{109F}\x{1780}-\x{17FF}\x{3040}-\x{30FF}\x{3400}-\x{9FFF}]"
)
_HASHES = ("anchor_hash", "positive_hash")


@dataclass(frozen=True)
class Leak:
    """How many of the texts of one evaluation file or folder are a pair's text."""

    path: Path
    found: int
    texts: int
    """Different texts that are long enough to count."""
    example: str

    @property
    def share(self) -> float:
        """Return the share of texts found."""
        return self.found / self.texts

    def __str__(self) -> str:
        """Return the finding in words."""
        example = self.example if len(self.example) <= 80 else f"{self.example[:79]}…"
        return (
            f"{self.found:,} of the {self.texts:,} texts of {self.path} are among the pairs, "
            f"such as {example!r}"
        )


def check_leaks(shards: Sequence[Shard], config: EvaluationConfig) -> None:
    """Say which evaluation texts are among the pairs.

    Raises UserError when they are more than `config.allow_leaks` of an evaluation's texts, or a
    shard cannot be read.
    """
    if not config.leak_check:
        return
    for leak in find_leaks(shards, config):
        if leak.share > config.allow_leaks:
            raise UserError(
                f"{leak}: build the pairs from documents without them, evaluate on other files, "
                f"or accept it with --allow-leaks {_above(leak.share)}"
            )
        say(f"note: {leak}")


def find_leaks(shards: Sequence[Shard], tasks: Tasks) -> list[Leak]:
    """Return the evaluations some of whose texts are the anchor or positive of a pair.

    Texts are compared as everywhere in a dataset: by the hash of their normal form, whole. Shorter
    ones than 5 words, or 8 characters where words are not spaced, do not count: people say "yes,
    that works for me" by chance. Of retrieval only the queries count: its documents are there to be
    searched, by any system, and are the natural corpus to train for the search on.
    """
    found_texts = {path: _counted(texts) for path, texts in evaluation_texts(tasks)}
    hashes = {path: text_hashes(t) for path, t in found_texts.items() if len(t)}
    if not hashes:
        return []
    found = _among_pairs(shards, np.unique(np.concatenate(list(hashes.values()))))
    leaks = []
    for path, mine in hashes.items():
        unique, first = np.unique(mine, return_index=True)
        hits = np.sort(first[np.isin(unique, found)])
        if len(hits):
            example = found_texts[path][int(hits[0])].as_py()
            leaks.append(Leak(path, len(hits), len(unique), example))
    return leaks


def evaluation_texts(tasks: Tasks) -> Iterator[tuple[Path, list[str]]]:
    """Yield every evaluation's path and the texts whose place among the pairs would be a leak."""
    for path in tasks.sts:
        left, right, _ = similarities(path, tasks.split)
        yield path, left + right
    for path in tasks.pairs:
        left, right, _ = labelled_pairs(path, tasks.split)
        yield path, left + right
    for path in tasks.intent:
        yield path, intents(path)[0]
    for path in tasks.bitext:
        _, left, right = translations(path)
        yield path, left + right
    for path in tasks.retrieval:
        yield path, list(judgements(path)[0].values())


def _counted(texts: list[str]) -> pa.StringArray:
    column = pa.array(texts, pa.string())
    words = pc.greater_equal(pc.count_substring_regex(column, _WORD), WORDS)
    unspaced = pc.greater_equal(pc.count_substring_regex(column, _UNSPACED), CHARACTERS)
    return column.filter(pc.or_(words, unspaced))


def _among_pairs(shards: Sequence[Shard], wanted: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = pa.array(wanted)
    found: set[int] = set()
    for group in row_groups(shards):
        for column in read(group, _HASHES).columns:
            found.update(column.filter(pc.is_in(column, values)).to_pylist())
    return np.array(sorted(found), np.uint64)


def _above(share: float) -> float:
    """Return a number of two digits that is not below `share`."""
    digits = 10.0 ** (np.floor(np.log10(share)) - 1)
    return min(1.0, float(f"{np.ceil(share / digits) * digits:.6g}"))
