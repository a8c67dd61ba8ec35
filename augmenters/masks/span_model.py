"""A T5-type model at work: passages in, words for each span out."""

import functools
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.masks.draw import Drawing, draw_tokens, keys_of, uniforms
from pairsmith.augmenters.masks.models import Device, Loaded, load
from pairsmith.augmenters.masks.words import Passage, fitting
from pairsmith.augmenters.masks.write import Fill, in_case, opens_sentence
from pairsmith.augmenters.memory import fitted_in
from pairsmith.schemas import UserError, require

AUTO_CLASS = "AutoModelForSeq2SeqLM"
_CHINESE = "[\u3005-\u3007\u3041-\u30fa\u4e00-\u9fff]"
_BETWEEN_CHINESE = re.compile(f"(?<={_CHINESE}) (?={_CHINESE})")
"""Spaces that some tokenizers put between the characters they wrote."""


class Prepared(NamedTuple):
    """A passage as the model reads it."""

    passage: Passage
    text: bytes
    spans: list[tuple[int, int]]
    """Where each begins and ends in the text, in bytes."""
    ids: list[int]
    sentinels: int
    """How many stand among the ids: as many as spans, unless the text held some."""


@functools.cache
def span_filler(model: str, device: Device) -> "SpanFiller":
    """Return the loaded model. Raises UserError when it is missing, or of no use."""
    loaded = load(model, AUTO_CLASS, device)
    return fitted_in(lambda: SpanFiller(model, loaded), model)


class SpanFiller:
    """A loaded model, and its sentinels: `<extra_id_0>` for the first span, and so on."""

    def __init__(self, name: str, loaded: Loaded) -> None:
        """Look for the sentinels. Raises UserError when the tokenizer has none, or others."""
        self._loaded = loaded
        self._tokenizer = loaded.tokenizer
        self._pad: int = self._tokenizer.pad_token_id
        self._eos: int = self._tokenizer.eos_token_id
        known = self._tokenizer.get_vocab()
        if "ByT5" in type(self._tokenizer).__name__ or "▁<extra_id_0>" in known:
            raise UserError(
                f"{name} was taught other marks of gaps than its tokenizer's <extra_id_0>, as ByT5 "
                "and mT5 were; choose T5 or T5 1.1, or FillMask for a model with a mask token"
            )
        self._sentinels: list[int] = []
        while (token := f"<extra_id_{len(self._sentinels)}>") in known:
            self._sentinels.append(known[token])
        if len(self._sentinels) < 2:
            raise UserError(
                f"the tokenizer of {name} has no tokens <extra_id_0>, <extra_id_1>, …; "
                "choose a T5-type model, or FillMask for one with a mask token"
            )

    def prepare(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[Prepared]:
        """Return what the model reads of the passages, cut where they are too long for it."""
        most = len(self._sentinels) - 1  # the one behind the last span ends it

        def fits(some: Sequence[Passage]) -> list[bool]:
            return [
                len(one.ids) <= self._loaded.positions and len(one.spans) <= most
                for one in self._encode(some, texts)
            ]

        return self._encode(fitting(passages, texts, fits), texts)

    def fill(
        self,
        batch: Sequence[Prepared],
        keys: Keys,
        drawing: Drawing,
        *,
        differ: bool,
        max_tokens: int,
    ) -> list[list[Fill]]:
        """Return what stands in the place of each span; none for a fill without end or letters.

        Every row's decoder is told when its next span begins, by the sentinel that T5 would write
        there itself, so that fills cannot be mistaken for one another.
        """
        torch = require("torch", extra="masks")
        model = self._loaded.model
        width = max(len(one.ids) for one in batch)
        padded = [one.ids + [self._pad] * (width - len(one.ids)) for one in batch]
        ids = torch.tensor(padded, device=model.device)
        lengths = torch.tensor([len(one.ids) for one in batch], device=model.device)
        attention = (torch.arange(width, device=model.device) < lengths[:, None]).long()
        writing = [_Writing(one, self._sentinels, self._eos, max_tokens) for one in batch]
        start = model.config.decoder_start_token_id
        feed = [[start, self._sentinels[0]]] * len(batch)
        past = None
        with torch.inference_mode():
            encoded = model.get_encoder()(input_ids=ids, attention_mask=attention)
            while any(not one.done for one in writing):
                output = model(
                    encoder_outputs=encoded,
                    attention_mask=attention,
                    decoder_input_ids=torch.tensor(feed, device=model.device),
                    past_key_values=past,
                    use_cache=True,
                )
                past = output.past_key_values
                logits = output.logits[:, -1].float()
                self._bar(logits, writing, differ)
                owners = keys[[one.passage.row for one in batch]]
                spans = np.array([one.start for one in writing], np.int64)
                steps = np.array([len(one.tokens) for one in writing], np.int64)
                own = keys_of(keys_of(owners, spans), steps)
                drawn = draw_tokens(logits, uniforms(own), drawing)
                feed = [
                    [one.take(token)] for one, token in zip(writing, drawn.tolist(), strict=True)
                ]
        return [self._fills(one) for one in writing]

    def _bar(self, logits: Any, writing: Sequence["_Writing"], differ: bool) -> None:
        """Set the logits of what must not be written next to -inf."""
        torch = require("torch", extra="masks")
        ends = [*self._sentinels, self._eos]
        others = {self._pad, self._tokenizer.unk_token_id, self._tokenizer.bos_token_id}
        logits[:, [token for token in others if token is not None]] = -torch.inf
        # Rows of embeddings beyond the vocabulary, to a round number, mean nothing.
        logits[:, len(self._tokenizer) :] = -torch.inf
        fresh = [row for row, one in enumerate(writing) if not one.tokens]
        for row in fresh:
            logits[row, ends] = -torch.inf
            if differ:
                was = self._tokenizer(writing[row].was, add_special_tokens=False)["input_ids"]
                logits[row, was[:1]] = -torch.inf

    def _encode(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[Prepared]:
        if not passages:
            return []
        spans = [passage.spans() for passage in passages]
        masked = [
            _with_sentinels(passage, texts[passage.row], some)
            for passage, some in zip(passages, spans, strict=True)
        ]
        encoded = self._tokenizer(masked, truncation=False, verbose=False)["input_ids"]
        sentinels = set(self._sentinels)
        return [
            Prepared(passage, texts[passage.row], some, ids, sum(i in sentinels for i in ids))
            for passage, some, ids in zip(passages, spans, encoded, strict=True)
        ]

    def _fills(self, writing: "_Writing") -> list[Fill]:
        one = writing.one
        fills = []
        for (start, end), tokens in zip(one.spans, writing.written, strict=True):
            said = self._tokenizer.decode(
                tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False
            ).strip()
            if any(letter.isalpha() for letter in said):
                was = one.text[start:end].decode()
                said = _BETWEEN_CHINESE.sub("", said)
                said = in_case(said, was, opens_sentence(one.text, start))
                fills.append(Fill(one.passage.row, start, end, said))
        return fills


class _Writing:
    """What has been written of one passage's fills."""

    def __init__(self, one: Prepared, sentinels: Sequence[int], eos: int, max_tokens: int) -> None:
        self.one = one
        self.tokens: list[int] = []
        """Of the span that is being written."""
        self.written: list[list[int]] = []
        """Of the spans before; empty for one that did not end."""
        self._sentinels = sentinels
        self._ends = {*sentinels, eos}
        self._max_tokens = max_tokens

    def take(self, token: int) -> int:
        """Add a token that was drawn, -1 for none, and return the one that stands there at last."""
        if self.done:
            return self._sentinels[-1]  # read by nobody
        ends = token < 0 or token in self._ends
        if not ends:
            self.tokens.append(token)
            if len(self.tokens) <= self._max_tokens:
                return token
        self.written.append(self.tokens if ends else [])
        self.tokens = []
        return self._sentinels[len(self.written)]

    @property
    def done(self) -> bool:
        """Return whether all spans are written."""
        return len(self.written) == len(self.one.spans)

    @property
    def start(self) -> int:
        """Return where the span that is being written begins in the text."""
        return 0 if self.done else self.one.spans[len(self.written)][0]

    @property
    def was(self) -> str:
        """Return what the span holds in the text."""
        start, end = (0, 0) if self.done else self.one.spans[len(self.written)]
        return self.one.text[start:end].decode()


def _with_sentinels(passage: Passage, text: bytes, spans: Sequence[tuple[int, int]]) -> str:
    """Return a passage with a sentinel in the place of each span."""
    parts, done = [], passage.start
    for number, (start, end) in enumerate(spans):
        parts += [text[done:start].decode(), f"<extra_id_{number}>"]
        done = end
    return "".join([*parts, text[done : passage.end].decode()])
