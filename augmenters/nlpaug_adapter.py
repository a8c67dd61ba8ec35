"""nlpaug's augmenters, keyed per record (https://github.com/makcedward/nlpaug).

nlpaug draws from the global generators of `random` and `numpy.random`, and its language models from
torch's. Their states are saved, seeded with the key of each record, and put back, under one lock
for all threads of the process; other code should not draw from them in another thread meanwhile.
"""

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.nlpaug_objects import (
    Hooks,
    applied,
    asks_wordnet,
    described,
    hooked,
    load,
    make,
    needs_numpy,
    needs_torch,
    tfidf_sha256,
    trouble,
)
from pairsmith.augmenters.spacing import compare
from pairsmith.augmenters.wordnet.thesaurus import source_digest
from pairsmith.schemas import UserError, require

_LOCK = threading.Lock()
_PROBE = "The quick brown fox jumps over the lazy dog, and nobody believes it."
_FAILURES = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)
"""What nlpaug raises for texts that it was not made for."""
_SETTINGS = ("augmenter", "arguments", "keep_spacing")


@dataclass(frozen=True)
class NlpAug:
    """Applies an augmenter of nlpaug: an object, or a dotted name with its arguments.

    `NlpAug("nlpaug.augmenter.char.KeyboardAug", aug_char_p=0.1)`. A name loads nothing until
    `setup`, and goes to workers as it is. By a name, `SynonymAug` and `AntonymAug` take words and
    parts of speech from the WordNet that `Synonyms` reads, or from the folder `model_path`, because
    no package index serves NLTK's data; an object keeps the model that it was made with.
    """

    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = "pairsmith[nlpaug]"

    augmenter: Any
    """An augmenter of nlpaug, or where its class is: `nlpaug.augmenter.word.SplitAug`."""
    arguments: tuple[tuple[str, Any], ...] = ()
    """Arguments of the class, when `augmenter` is a name."""
    keep_spacing: bool = True
    """Whether words that nlpaug left alone keep their spacing; else `don't` becomes `don ' t`."""

    def __init__(self, augmenter: Any, *, keep_spacing: bool = True, **arguments: Any) -> None:
        """Take an object of nlpaug, or the dotted name of a class and its arguments.

        Raises TypeError for arguments beside an object.
        """
        if arguments and not isinstance(augmenter, str):
            raise TypeError("arguments go with the name of a class; an object has its own")
        values = (augmenter, tuple(sorted(arguments.items())), keep_spacing)
        self.__setstate__(dict(zip(_SETTINGS, values, strict=True)))

    def __getstate__(self) -> dict[str, Any]:
        """Return the settings alone: a worker makes its own augmenter of them."""
        return {name: getattr(self, name) for name in _SETTINGS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the settings."""
        for name in _SETTINGS:
            object.__setattr__(self, name, state[name])

    @property
    def kind(self) -> str:
        """Return the name of the class of nlpaug."""
        if isinstance(self.augmenter, str):
            return self.augmenter.rpartition(".")[2]
        return type(self.augmenter).__name__

    @property
    def name(self) -> str:
        """Return the name of the class of nlpaug, as `nlpaug.KeyboardAug`."""
        return f"nlpaug.{self.kind}"

    @property
    def keeps_meaning(self) -> bool:
        """Return whether views are positives: all but those with antonyms."""
        return self.kind != "AntonymAug"

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: files and what an object has learned by their content."""
        arguments = dict(self.arguments)
        told = {name: described(value, name) for name, value in arguments.items()}
        if isinstance(self.augmenter, str) and asks_wordnet(self.kind, arguments):
            told["model_path"] = source_digest(arguments.get("model_path") or "")
        if isinstance(self.augmenter, str) and self.kind == "TfIdfAug":
            told["model_path"] = tfidf_sha256(arguments.get("model_path", "."))
        return {
            "augmenter": described(self.augmenter),
            "arguments": told,
            "keep_spacing": self.keep_spacing,
        }

    def setup(self) -> None:
        """Make the augmenter and try it on a sentence.

        Raises UserError that says what to install when its family does not work here.
        """
        load("nlpaug")
        try:
            with _LOCK, self._keyed() as seed:
                seed(0)
                made = self._apply(_PROBE)
        except (*_FAILURES, ImportError, OSError, RuntimeError) as error:
            raise UserError(trouble(self.kind, error)) from error
        if not isinstance(made, str):
            raise UserError(f"{self.name} makes {type(made).__name__} of a text, not one text")

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return a view of each text; null for null, and where nlpaug fails or leaves nothing."""
        return self._views(texts, keys, False).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views; the details are `{"changed": [[old, new], …]}`, tokens that differ.

        Without `keep_spacing` they also say `"respaced": true` where words that both have are
        spaced otherwise; `respaced_share` counts that.
        """
        return self._views(texts, keys, True)

    @cached_property
    def _hooks(self) -> Hooks:
        return Hooks(self.keep_spacing)

    @cached_property
    def _made(self) -> Any:
        made = self.augmenter
        if isinstance(made, str):
            made = make(made, dict(self.arguments))
        return hooked(made, self._hooks)

    @cached_property
    def _apply(self) -> Callable[[str], Any]:
        return applied(self._made)

    @contextmanager
    def _keyed(self) -> Iterator[Callable[[int], Any]]:
        """Give what seeds the global generators with a key, and put their states back."""
        made = self._made
        with ExitStack() as stack:
            stack.callback(random.setstate, random.getstate())
            seeds: list[Callable[[int], Any]] = [random.seed]
            if needs_numpy(made):
                stack.callback(np.random.set_state, np.random.get_state())
                seeds.append(lambda key: np.random.seed(key & 0xFFFFFFFF))
            if needs_torch(made):
                torch = require("torch", extra="masks")
                stack.enter_context(torch.random.fork_rng())
                seeds.append(lambda key: torch.manual_seed(key & 0x7FFFFFFFFFFFFFFF))
            if len(seeds) == 1:
                yield random.seed
            else:
                yield lambda key: [seed(key) for seed in seeds]

    def _views(self, texts: pa.StringArray, keys: Keys, explain: bool) -> Views:
        rows = len(texts)
        views: list[str | None] = [None] * rows
        reasons: list[str | None] = [None] * rows
        details: list[bytes | None] = [None] * rows
        encode = require("orjson", extra="build").dumps
        with _LOCK, self._keyed() as seed:
            for row, (text, key) in enumerate(zip(texts.to_pylist(), keys.tolist(), strict=True)):
                if text is None or not text.strip():
                    views[row] = text
                    continue
                seed(key)
                try:
                    view, detail = self._view(text, explain)
                except _FAILURES as error:
                    reasons[row] = f"nlpaug: {type(error).__name__}"
                    continue
                if not view.strip():
                    reasons[row] = "nothing left"
                    continue
                views[row] = view
                if explain and detail:
                    details[row] = encode(detail)
        return Views(*(pa.array(column, pa.string()) for column in (views, reasons, details)))

    def _view(self, text: str, explain: bool) -> tuple[str, dict[str, Any]]:
        hooks = self._hooks
        hooks.start(explain)
        view = self._apply(text)
        if not isinstance(view, str):
            raise UserError(f"{self.name} makes {type(view).__name__} of a text, not one text")
        if hooks.joined:
            edits, respaced = hooks.edits, hooks.respaced
            if self.keep_spacing and (inner := text.strip()) != text:
                before = text[: text.index(inner)]
                view = before + view + text[len(before) + len(inner) :]
        elif view == text or view == text.strip():
            return (text if self.keep_spacing else view), {}
        else:
            kept, edits = compare(text, view)
            respaced = kept.strip() != view.strip()
            view = kept if self.keep_spacing else view
        detail: dict[str, Any] = {"changed": edits} if edits else {}
        if respaced and not self.keep_spacing:
            detail["respaced"] = True
        return view, detail
