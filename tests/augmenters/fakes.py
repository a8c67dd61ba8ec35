"""Augmenters that stand in for models: they count, they fail, they differ by batch as models do."""

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import pyarrow as pa

from pairsmith.augmenters import Views


@dataclass
class Calls:
    """What a fake model was asked; with a log, in whatever process."""

    log: str = ""
    batches: list[list[str]] = field(default_factory=list)
    setups: int = 0
    fails_at: int = -1

    def add(self, batch: list[str]) -> None:
        """Remember a batch. Raises RuntimeError when it is the one that fails."""
        if len(self.batches) == self.fails_at:
            raise RuntimeError("out of memory")
        self.batches.append(batch)
        if self.log:
            with Path(self.log).open("a") as stream:
                stream.writelines(f"{text}\n" for text in batch)

    def logged(self) -> list[str]:
        """Return every text asked about in any process since last time."""
        path = Path(self.log)
        lines = path.read_text().splitlines() if path.exists() else []
        path.unlink(missing_ok=True)
        return lines

    @property
    def texts(self) -> list[str]:
        """Return every text asked about."""
        return [text for batch in self.batches for text in batch]


@dataclass(frozen=True)
class Model:
    """Says how many texts it was asked about at once, as a model whose sums depend on the batch."""

    calls: Calls = field(default_factory=Calls, compare=False)
    cache_by: Literal["text", "record"] = "text"
    setting: int = 1
    name: ClassVar[str] = "model"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "nothing"

    def settings(self):
        return {"setting": self.setting, "cache_by": self.cache_by}

    def setup(self):
        self.calls.setups += 1

    def __call__(self, texts, keys):
        return self.views(texts, keys).texts

    def views(self, texts, keys):
        given = texts.to_pylist()
        self.calls.add([text for text in given if text is not None])
        views, reasons, details = [], [], []
        for text, key in zip(given, keys.tolist(), strict=True):
            refused = text is None or "£" in text
            by_key = f" {key}" if self.cache_by == "record" else ""
            views.append(None if refused else f"{text} of {len(given)}{by_key}")
            reasons.append("a pound" if text and refused else None)
            details.append(json.dumps({"of": len(given)}) if text is not None else None)
        return Views(*(pa.array(column, pa.string()) for column in (views, reasons, details)))

    def with_setting(self, setting):
        return dataclasses.replace(self, setting=setting)
