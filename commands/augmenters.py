"""`pairsmith augmenters`: what there is, and what it does to a text, tried on the spot."""

import dataclasses
import inspect
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
import tyro
from rich.console import Console
from rich.text import Text

from pairsmith.augmenters import Augmenter, Cached, views_of
from pairsmith.augmenters.catalogue import CORPUS, Entry, asking, catalogue
from pairsmith.augmenters.compose import Composition, costly, fitted
from pairsmith.schemas import UserError, require

_DESCRIPTION = """List the augmenters, each with an example made on the spot.

An augmenter that asks a model or a service is listed with what it needs, and not run.

examples:
  pairsmith augmenters
  pairsmith augmenters negation number_change --text 'Rates rose by 3 % in May.'
  pairsmith augmenters word_dropout --key 7
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME…")] = ()
    """Only these; all without any."""
    text: str | None = None
    """Try them on this text instead of their own examples."""
    key: int = 17
    """What chance is drawn from; another key gives other views."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(
        Options, prog="pairsmith augmenters", description=_DESCRIPTION, args=list(argv)
    )
    if not 0 <= options.key < 2**64:
        raise UserError("--key must be from 0 to 2**64 - 1")
    for module in ("numba", "rjieba", "sentencepiece"):
        require(module, "build")
    console = Console(soft_wrap=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        entries = (*catalogue(_model(Path(folder))), *asking())
        known = [entry.augmenter.name for entry in entries]
        if unknown := [name for name in options.names if name not in known]:
            raise UserError(f"no augmenter {unknown[0]!r}; there are {', '.join(known)}")
        for entry in entries:
            if not options.names or entry.augmenter.name in options.names:
                _print(console, entry, options)
    return 0


def _model(folder: Path) -> str:
    """Return the path of a small sentencepiece model, trained here and now."""
    sentencepiece = require("sentencepiece", "build")
    prefix = folder / "example"
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS * 20),
        model_prefix=str(prefix),
        vocab_size=150,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    return f"{prefix}.model"


def _print(console: Console, entry: Entry, options: Options) -> None:
    augmenter = entry.augmenter
    about = [
        ", ".join(augmenter.languages) or "any language",
        "keeps the meaning" if augmenter.keeps_meaning else "changes the meaning: for negatives",
        *([f"needs {augmenter.needs}"] if augmenter.needs else []),
    ]
    console.print(Text(augmenter.name, "bold"), Text(shown(augmenter), "dim"))
    console.print(Text(f"  {what(augmenter)}"))
    console.print(Text(f"  {' · '.join(about)}", "dim"))
    texts = entry.texts if options.text is None else (options.text,)
    if not costly(augmenter):
        try:
            _print_views(console, augmenter, texts, options.key)
        except UserError as error:
            console.print(Text(f"  not run: {error}", "yellow"))
    console.print()


def _print_views(console: Console, augmenter: Augmenter, texts: Sequence[str], key: int) -> None:
    augmenter.setup()
    ready = fitted(augmenter, pa.array([*CORPUS, *texts]))
    views = views_of(ready, pa.array(list(texts)), np.full(len(texts), key, np.uint64))
    for text, view, reason in zip(texts, *(v.to_pylist() for v in views[:2]), strict=True):
        console.print(Text(f"    {text}"))
        made = Text(view, "green") if view is not None else Text(f"no view: {reason}", "yellow")
        console.print(Text("  → "), made, sep="")


def what(augmenter: Augmenter) -> str:
    """Return the first line of the augmenter's documentation."""
    return (inspect.getdoc(type(augmenter)) or "").split("\n")[0]


def shown(augmenter: Augmenter) -> str:
    """Return the augmenter as one would write it: its settings, but those left at their default."""
    if isinstance(augmenter, Composition):
        parts = ", ".join(map(shown, augmenter.steps))
        return f"{type(augmenter).__name__}({parts})"
    settings: list[str] = []
    for field in dataclasses.fields(augmenter):  # type: ignore[arg-type]
        value: Any = getattr(augmenter, field.name)
        if value != field.default and not isinstance(augmenter, Cached):
            named = getattr(value, "name", None) if dataclasses.is_dataclass(value) else None
            shown_value = named or repr(Path(value).name if str(value).startswith("/") else value)
            settings.append(f"{field.name}={shown_value}")
    return f"{type(augmenter).__name__}({', '.join(settings)})"
