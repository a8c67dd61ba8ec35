"""The README.md of a trained model: what it is, what from, how good, how to use it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pairsmith.schemas import Dataset
from pairsmith.schemas.store import RemoteDataset
from pairsmith.training.config import TrainConfig
from pairsmith.training.encoders.encoder import Encoder
from pairsmith.training.encoders.static import StaticEncoder
from pairsmith.training.settings import flag
from pairsmith.training.telemetry.curves import CURVES
from pairsmith.training.telemetry.journal import Groups

_NAMES = {
    "anchor_view": "the anchor's view",
    "positive_view": "the positive's view",
    "lang": "language",
    "source": "dataset",
    "tokens": "tokens of anchor and positive",
}
_MEASURES = {
    "loss": "loss",
    "accuracy": "positive first",
    "positive": "cosine of positive",
    "hardest": "of hardest negative",
    "gap": "gap",
    "masked": "masked",
    "alignment": "alignment",
    "uniformity": "uniformity",
}

_USE = """```python
from sentence_transformers import SentenceTransformer

model = SentenceTransformer("{name}")
vectors = model.encode(["How do I reset my password?", "I cannot log in any more."])
print(model.similarity(vectors, vectors))
```"""


def model_card(
    config: TrainConfig,
    datasets: Sequence[Dataset | RemoteDataset],
    encoder: Encoder,
    training: Mapping[str, Any],
    scores: Mapping[int, Mapping[str, float]],
    groups: Groups | None = None,
    curves: bool = False,
) -> str:
    """Return the card as Markdown with the front matter that model hubs read.

    scores: by step, up to that of the saved weights; the first and the last are shown.
    groups: means of the last steps, by grouping and group. curves: whether there is a picture.
    """
    kind = "static subword embedding" if isinstance(encoder, StaticEncoder) else "transformer"
    name = config.output.name
    parts = [
        "---\nlibrary_name: sentence-transformers\npipeline_tag: sentence-similarity\n"
        "tags:\n- sentence-transformers\n- sentence-similarity\n- feature-extraction\n---",
        f"# {name}",
        f"A text encoder trained on contrastive pairs with pairsmith: {kind}, "
        f"vectors of {encoder.dimension} numbers at unit length.",
        _USE.format(name=name),
    ]
    if scores:
        parts += ["## Scores", _scores(scores)]
    parts += ["## Data", _data(datasets), "## Training"]
    if curves:
        parts += [f"![Curves of the training run]({CURVES})"]
    parts += [_table(("", ""), [(key, str(value)) for key, value in training.items()])]
    for column, found in (groups or {}).items():
        if len(found) > 1 or column in ("kind", "tokens"):
            parts += [f"### By {_NAMES.get(column, column)}, last steps", _groups(found)]
    parts += ["### Settings"]
    settings = [(f"`{flag(k)}`", f"`{v}`") for k, v in config.as_data().items() if k != "data"]
    parts += [_table(("setting", "value"), settings)]
    return "\n\n".join(parts) + "\n"


def _scores(scores: Mapping[int, Mapping[str, float]]) -> str:
    steps = sorted({min(scores), max(scores)})
    rows = [
        (name, *(f"{scores[step].get(name, math.nan):.4f}" for step in steps))
        for name in scores[steps[-1]]
    ]
    return _table(("score", *(f"step {step}" for step in steps)), rows)


def _groups(groups: Mapping[str, Mapping[str, float]]) -> str:
    measures = [m for m in _MEASURES if any(m in means for means in groups.values())]
    rows = [
        (
            f"`{name}`",
            f"{int(means['rows']):,}",
            *(f"{means[m]:.3f}" if m in means else "" for m in measures),
        )
        for name, means in groups.items()
    ]
    return _table(("", "pairs", *(_MEASURES[m] for m in measures)), rows)


def _data(datasets: Sequence[Dataset | RemoteDataset]) -> str:
    rows = [
        (
            str(dataset.manifest.recipe.get("name", "")),
            f"{dataset.rows:,}",
            f"`{dataset.manifest.recipe_digest[:16]}`",
            f"`{dataset.manifest.digest}`",
        )
        for dataset in datasets
    ]
    return _table(("recipe", "pairs", "recipe digest", "dataset digest"), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
