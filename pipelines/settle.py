"""What a build is judged by when all is written, and what its manifest says of it."""

import datetime
import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

from pairsmith.pipelines.accounts import (
    ShardResult,
    Totals,
    add_up,
    check_failed,
    idle_augmenters,
    top_reasons,
)
from pairsmith.pipelines.job import StepResult
from pairsmith.pipelines.reading.inputs import Input, check_unchanged
from pairsmith.pipelines.reading.splits import name_of
from pairsmith.pipelines.recipe.recipe import Recipe
from pairsmith.pipelines.refused import RefusedUserError
from pairsmith.pipelines.storage.claim import FOLDERS
from pairsmith.pipelines.telling import Teller
from pairsmith.schemas import Manifest
from pairsmith.schemas.manifest import InputFile
from pairsmith.schemas.private import kept

_LIBRARIES = (
    *("apache-beam", "numba", "numpy", "pairsmith", "pyarrow", "pypinyin", "rjieba"),
    *("sentencepiece", "sentencex", "xxhash"),
)
_MODELS = ("tokenizers", "torch", "transformers")
_OF_EXTRAS = {
    "masks": _MODELS,
    "nlpaug": ("nlpaug", "nltk", *_MODELS),
    "train": ("sentence-transformers", *_MODELS),
    "translate": ("ctranslate2", "py3langid", "sacrebleu", *_MODELS),
    "wordnet": ("wn",),
}
"""Libraries that only count where a part of the recipe needs the extra."""


@dataclass(frozen=True)
class Terms:
    """The recipe and inputs of a build, and what must hold of what it made."""

    recipe: Recipe
    name: str
    """What the card calls the recipe."""
    files: tuple[Input, ...]
    max_failed: float
    min_changed: float
    warn_idle: bool


def settle(terms: Terms, results: Sequence[StepResult], teller: Teller) -> Manifest:
    """Return the manifest of what all steps wrote.

    Raises RefusedUserError when it is not worth one.
    """
    check_unchanged(terms.files)
    rows_read = sum(step.rows_read for step in results)
    if not rows_read:
        names = ", ".join(repr(file.path) for file in terms.files)
        raise RefusedUserError(f"the corpus is empty: no rows in {names}")
    shards = [step.shard for step in results if step.shard]
    totals = add_up(rows_read, shards)
    _judge(totals, terms, teller)
    return _manifest(terms, shards, totals)


def _judge(totals: Totals, terms: Terms, teller: Teller) -> None:
    """Raise RefusedUserError when what was made is not worth a manifest."""
    check_failed(totals, terms.max_failed)
    if not totals.pairs["written"]:
        reasons = top_reasons(totals, "dropped", "failed")
        raise RefusedUserError(
            f"no pair is left of {totals.sources['read']:,} rows: {reasons}; "
            "look at the input or loosen the recipe's screens and gates"
        )
    if idle := idle_augmenters(totals, terms.min_changed):
        idle += f", fewer than --min-changed {terms.min_changed:g} asks"
        if not terms.warn_idle:
            raise RefusedUserError(f"{idle}; mend the recipe, lower --min-changed, or --warn-idle")
        teller.say("warning", idle)


def _manifest(terms: Terms, shards: Sequence[ShardResult], totals: Totals) -> Manifest:
    listed = {
        folder: sorted((r.files[folder] for r in shards if folder in r.files), key=lambda f: f.path)
        for folder in FOLDERS
    }
    return Manifest(
        recipe=kept({"name": terms.name, **terms.recipe.as_data()}),
        recipe_digest=terms.recipe.digest,
        inputs=tuple(InputFile(name_of(file.path), file.bytes) for file in terms.files),
        shards=tuple(listed["shards"]),
        dropped=tuple(listed["dropped"]),
        failed=tuple(listed["failed"]),
        counts=totals.as_data(),
        versions=versions(terms.recipe),
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    )


def versions(recipe: Recipe) -> dict[str, str]:
    """Return the versions of the libraries that can change the bytes of what a recipe makes."""
    gates = [gate for pair in recipe.pairs for gate in recipe.gates_of(pair)]
    needs = " ".join(getattr(part, "needs", "") for part in (*recipe.steps, *gates))
    used = [libraries for extra, libraries in _OF_EXTRAS.items() if f"[{extra}]" in needs]
    return {library: _version(library) for library in sorted({*_LIBRARIES, *chain(*used)})}


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
