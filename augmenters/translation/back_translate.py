"""Views by translation there and back again (Sennrich et al. 2016, arXiv 1511.06709)."""

import json
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.languages import writes_spaces
from pairsmith.augmenters.translation import quality
from pairsmith.augmenters.translation.legs import Leg, translate_parts
from pairsmith.augmenters.translation.load import Device, EngineName, Model
from pairsmith.augmenters.translation.sentences import Part, split_long, split_sentences
from pairsmith.augmenters.translation.translator import Decoding, Translator
from pairsmith.schemas import subkeys


@dataclass(frozen=True)
class BackTranslate:
    """Translate a text into another language and back: a paraphrase in the words of two models.

    Texts are cut into sentences, sentences that are too long for a model at the end of a clause or
    a word; what stands between them is kept. There is no view where something went wrong, and the
    reason says what: "copy" (the text came back but for case and punctuation), "empty" (a sentence
    was lost), "too long" (an output that would not end), "repetition", "language", "length".
    Details hold the round-trip `chrf` (0 to 100), the `pivot` text, and the view `rejected`, if so.

    Greedy and beam search: the view depends on the text alone, save that a model rounds otherwise
    in a batch of another shape or on another processor; near ties may then fall differently (seen:
    3 views of 1,000 in int8, none in float32). Sampling: with engine="transformers" a view depends
    on text and key, up to rounding; with CTranslate2, whose generator is seeded once a batch, it
    depends on the keys and texts of the whole batch: equal calls give equal views. A cache
    (`Cached`, or a build's) makes up for both: it gives the same bytes again, and calls no model.
    """

    name: ClassVar[str] = "back_translate"
    version: ClassVar[int] = 1
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "pairsmith[translate] and two models"

    to: str = ""
    """The language between: BCP 47. Models are Helsinki-NLP/opus-mt-{source}-{to} and back."""
    _: KW_ONLY
    source: str = "en"
    """The language of the texts."""
    models: tuple[str, str] = ("", "")
    """There and back, instead of those: folders or hub names of Marian checkpoints, or of models
    converted for CTranslate2. Without `to`, the language between is then not checked."""
    prefixes: tuple[str, str] = ("", "")
    """Before each sentence there and back, as models of several languages want it: with
    Helsinki-NLP/opus-mt-en-zh, `(">>cmn_Hans<< ", "")`."""
    engine: EngineName = "ctranslate2"
    """"ctranslate2", or "transformers": slower, the reference."""
    compute_type: str = "auto"
    """"auto" is int8 on a CPU and float16 on a GPU. Decides the views: name it where a build's
    machines differ."""
    beam: int = 1
    """Hypotheses kept at each step; 1 is greedy search."""
    temperature: float = 0.0
    """Above 0: sample instead."""
    top_k: int = 0
    """Sample from so many of the likeliest tokens; 0 from all."""
    top_p: float = 1.0
    """Sample from the likeliest tokens that together have this probability. CTranslate2 looks at no
    more than 8,192 of them on a GPU."""
    longest: int = 0
    """Sentences of more tokens are split; 0: those that a model cannot read. Models that learned
    from short sentences leave out the end of long ones."""
    length: tuple[float, float] = (0.5, 2.0)
    """Bounds of the view's length over the text's, ten characters added to both."""
    device: Device = "auto"
    """"auto" takes a GPU if there is one."""
    threads: int = 0
    """0 for all cores that this process may use."""
    batch_tokens: int = 0
    """Padded source tokens in a batch; 0 for 2,048 on a CPU and 16,384 on a GPU. Halved when memory
    runs out."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        if not any(self.models) and not self.to:
            raise ValueError("name a language, as BackTranslate(to='fr'), or models=(there, back)")
        if len(self.models) != 2 or any(self.models) != all(self.models):
            raise ValueError(f"models must be two, there and back, not {self.models!r}")
        if not 0 <= self.length[0] < 1 < self.length[1]:
            raise ValueError(f"length must be bounds around 1, not {self.length}")
        if self.longest < 0:
            raise ValueError(f"longest must not be negative: {self.longest}")
        if self.batch_tokens < 0:
            raise ValueError(f"batch_tokens must not be negative: {self.batch_tokens}")
        self._decoding()
        self._models()

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the language of the texts."""
        return (self.source,)

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return "record" for sampling, which the key decides; else "text"."""
        return "record" if self._decoding().samples else "text"

    def setup(self) -> None:
        """Load both models, converted first where need be.

        Raises UserError when a model or a package is missing, or a model cannot be converted.
        """
        self.translators()

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: models by their content, not their place; no device."""
        there, back = self._models()
        return {
            "source": self.source,
            "to": self.to,
            "models": [there.content(), back.content()],
            "prefixes": list(self.prefixes),
            "engine": self.engine,
            "compute_type": there.computes_in(),
            **{name: getattr(self, name) for name in ("beam", "temperature", "top_k", "top_p")},
            "longest": self.longest,
            "length": list(self.length),
        }

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return the text of each that came back; null where it is null or not good.

        keys: uint64, shape (len(texts),): only sampling looks at them.
        """
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views with the reasons for none, and details."""
        return self.views_by(*self.translators(), texts, keys)

    def translators(self) -> tuple[Translator, Translator]:
        """Return the loaded models, there and back."""
        there, back = self._models()
        return there.translator(), back.translator()

    def views_by(
        self, there: Translator, back: Translator, texts: pa.StringArray, keys: Keys
    ) -> Views:
        """Return the views that two translators make, whatever they are."""
        rows = np.flatnonzero(texts.is_valid().to_numpy(zero_copy_only=False))
        strings: list[str] = texts.take(pa.array(rows)).to_pylist()
        sentences = [split_sentences(text, self.source) for text in strings]
        out = self._leg(there, sentences, keys[rows], 0)
        pivots = out.texts(between=" ")
        reasons = self._reasons(strings, out, self.to, self.source)
        views: list[str | None] = [None] * len(strings)
        scores: list[float | None] = [None] * len(strings)
        # What is lost on the way there is not brought back.
        on = [row for row, reason in enumerate(reasons) if reason is None]
        home = self._leg(back, [out.parts[row] for row in on], subkeys(keys[rows[on]], 1), 1)
        originals, returned = [strings[row] for row in on], home.texts()
        again = self._reasons(originals, home, self.source, self.to)
        again = _first(again, "copy", quality.copies(originals, returned))
        ratios = quality.length_ratios(originals, returned)
        low, high = self.length
        again = _first(again, "length", (ratios < low) | (ratios > high))
        for row, view, reason, score in zip(
            on, returned, again, quality.chrf(originals, returned).tolist(), strict=True
        ):
            views[row], reasons[row], scores[row] = view, reason, round(score, 1)
        details = list(map(_details, scores, pivots, views, reasons))
        good = [None if reason else view for view, reason in zip(views, reasons, strict=True)]
        place = np.full(len(texts), -1, np.int64)
        place[rows] = np.arange(len(rows))
        taken = pa.array(place, mask=place < 0)
        return Views(*(pa.array(a, pa.string()).take(taken) for a in (good, reasons, details)))

    def _leg(self, translator: Translator, texts: list[list[Part]], keys: Keys, leg: int) -> Leg:
        longest = min(self.longest or translator.max_tokens(), translator.max_tokens())
        # Halves that touch in a Chinese pivot must not in English, and the other way round.
        home = (" " if writes_spaces(self.source) else "") if leg else None
        parts = split_long(texts, longest, translator.count_tokens, self.prefixes[leg], home)
        return translate_parts(
            translator, parts, keys, self._decoding(), self.prefixes[leg], self.batch_tokens
        )

    def _reasons(self, texts: list[str], leg: Leg, language: str, other: str) -> list[str | None]:
        """Return what went wrong on one way, None for nothing."""
        made = leg.texts()
        reasons = _first([None] * len(texts), "too long", leg.endless)
        reasons = _first(reasons, "empty", leg.lost)
        reasons = _first(reasons, "repetition", quality.repetitions(texts, made))
        if language:
            others = (other,) if other else ()
            reasons = _first(reasons, "language", quality.foreign(made, language, others))
        return reasons

    def _decoding(self) -> Decoding:
        return Decoding(self.beam, self.temperature, self.top_k, self.top_p)

    def _models(self) -> tuple[Model, Model]:
        names = (
            self.models
            if any(self.models)
            else (
                f"Helsinki-NLP/opus-mt-{self.source}-{self.to}",
                f"Helsinki-NLP/opus-mt-{self.to}-{self.source}",
            )
        )
        there, back = (
            Model(name, self.engine, self.device, self.compute_type, self.threads) for name in names
        )
        return there, back


def _first(
    reasons: list[str | None], reason: str, where: npt.NDArray[np.bool_]
) -> list[str | None]:
    """Return the reasons, this one added where it holds and there is none yet."""
    return [reason if old is None and new else old for old, new in zip(reasons, where, strict=True)]


def _details(score: float | None, pivot: str, view: str | None, reason: str | None) -> str:
    """Return as JSON what was measured: chrf, the pivot, and the view that was rejected."""
    rejected = view if reason not in (None, "copy") else None
    told = {"chrf": score, "pivot": pivot, "rejected": rejected}
    some = {name: value for name, value in told.items() if value is not None}
    return json.dumps(some, ensure_ascii=False, separators=(",", ":"))
