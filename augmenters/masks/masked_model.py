"""A masked language model at work: passages in, a word for each mask out."""

import functools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pairsmith.augmenters.augmenter import Keys
from pairsmith.augmenters.characters import CJK, char_classes
from pairsmith.augmenters.letters import DIGIT, MARK, letter_kinds
from pairsmith.augmenters.masks.draw import Drawing, draw_tokens, keys_of, uniforms
from pairsmith.augmenters.masks.models import Device, Loaded, load
from pairsmith.augmenters.masks.words import Passage, fitting, has_cjk
from pairsmith.augmenters.masks.write import Fill, in_case, opens_sentence
from pairsmith.augmenters.memory import fitted_in
from pairsmith.schemas import UserError, require

AUTO_CLASS = "AutoModelForMaskedLM"


class Mask(NamedTuple):
    """A mask in a passage."""

    start: int
    """First byte of what it stands for, in the text."""
    end: int
    turn: int
    """When it is filled: masks of one turn stand in different spans."""
    chinese: bool


class Prepared(NamedTuple):
    """A passage as the model reads it."""

    passage: Passage
    text: bytes
    masks: list[Mask]
    ids: list[int]
    places: list[int]
    """Of the masks among the ids."""


@functools.cache
def masked_filler(model: str, device: Device) -> "Filler":
    """Return the loaded model. Raises UserError when it is missing, or of no use."""
    loaded = load(model, AUTO_CLASS, device)
    return fitted_in(lambda: Filler(model, loaded), model)


class Filler:
    """A loaded model, and which tokens of its vocabulary may stand for a masked word."""

    def __init__(self, name: str, loaded: Loaded) -> None:
        """Look through the vocabulary. Raises UserError for one without mask or whole words."""
        self._loaded = loaded
        self._tokenizer = loaded.tokenizer
        if self._tokenizer.mask_token is None:
            raise UserError(f"the tokenizer of {name} has no mask token; choose another model")
        self.mask_token: str = self._tokenizer.mask_token
        self._words = _whole_words(self._tokenizer)
        if not self._words:
            raise UserError(f"the vocabulary of {name} has no whole words; choose another model")
        self._same: dict[str, list[int]] = defaultdict(list)
        for token, word in self._words.items():
            self._same[word.casefold()].append(token)
        torch = require("torch", extra="masks")
        rows = loaded.model.get_output_embeddings().weight.shape[0]
        self._barred = torch.full((2, rows), -torch.inf, device=loaded.model.device)
        for token, word in self._words.items():
            if len(word) == 1 or not has_cjk(word):
                self._barred[int(has_cjk(word)), token] = 0.0
        self._head = self._find_head()

    def prepare(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[Prepared]:
        """Return what the model reads of the passages, cut where they are too long for it."""

        def fits(some: Sequence[Passage]) -> list[bool]:
            read = self._encode(some, texts)
            return [len(one.ids) <= self._loaded.positions for one in read]

        return self._encode(fitting(passages, texts, fits), texts)

    def fill(
        self, batch: Sequence[Prepared], keys: Keys, drawing: Drawing, differ: bool
    ) -> list[list[Fill]]:
        """Return what stands in the place of each word of each passage."""
        torch = require("torch", extra="masks")
        width = max(len(one.ids) for one in batch)
        pad = self._tokenizer.pad_token_id or 0
        device = self._loaded.model.device
        ids = torch.tensor([one.ids + [pad] * (width - len(one.ids)) for one in batch])
        ids = ids.to(device)
        lengths = torch.tensor([len(one.ids) for one in batch], device=device)
        attention = (torch.arange(width, device=device) < lengths[:, None]).long()
        tokens = [[-1] * len(one.masks) for one in batch]
        turns = 1 + max((mask.turn for one in batch for mask in one.masks), default=-1)
        for turn in range(turns):
            at = [
                (row, number)
                for row, one in enumerate(batch)
                for number, mask in enumerate(one.masks)
                if mask.turn == turn
            ]
            rows = torch.tensor([row for row, _ in at], device=device)
            places = torch.tensor([batch[row].places[n] for row, n in at], device=device)
            masks = [batch[row].masks[number] for row, number in at]
            with torch.inference_mode():
                logits = self._logits(ids, attention, rows, places)
            logits = logits + self._barred[[int(mask.chinese) for mask in masks]]
            if differ:
                for line, (row, number) in enumerate(at):
                    logits[
                        line, self._same.get(_original(batch[row], number).casefold(), [])
                    ] = -torch.inf
            starts = np.array([mask.start for mask in masks], np.int64)
            owners = keys[[batch[row].passage.row for row, _ in at]]
            drawn = draw_tokens(logits, uniforms(keys_of(owners, starts)), drawing)
            for (row, number), token in zip(at, drawn.tolist(), strict=True):
                tokens[row][number] = token
            new = torch.tensor(drawn, device=device)
            ids[rows, places] = torch.where(new >= 0, new, ids[rows, places])
        return [self._fills(one, some) for one, some in zip(batch, tokens, strict=True)]

    def _logits(self, ids: Any, attention: Any, rows: Any, places: Any) -> Any:
        """Return the logits at the places: float32, shape (places, vocabulary)."""
        model = self._loaded.model
        if self._head is None:
            return model(input_ids=ids, attention_mask=attention).logits[rows, places]
        states = model.base_model(input_ids=ids, attention_mask=attention).last_hidden_state
        return self._head(states[rows, places])

    def _find_head(self) -> Any:
        """Return what makes logits of hidden states, if it can be had apart from the model.

        So the vocabulary is computed at the masks only: for base models a fifth of the work, and
        most of the memory.
        """
        torch = require("torch", extra="masks")
        model = self._loaded.model
        head = getattr(model, "cls", None) or getattr(model, "lm_head", None)
        if head is None:
            return None
        ids = torch.tensor([[self._tokenizer.mask_token_id] * 2], device=model.device)
        with torch.inference_mode():
            whole = model(input_ids=ids).logits
            apart = head(model.base_model(input_ids=ids).last_hidden_state)
        return head if torch.allclose(whole, apart, atol=1e-4) else None

    def _encode(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[Prepared]:
        masked = [self._masked(passage, texts[passage.row]) for passage in passages]
        if not masked:
            return []
        encoded = self._tokenizer([text for text, _ in masked], truncation=False, verbose=False)
        mask_id = self._tokenizer.mask_token_id
        return [
            Prepared(
                *(passage, texts[passage.row], masks, ids),
                [place for place, token in enumerate(ids) if token == mask_id],
            )
            for passage, (_, masks), ids in zip(passages, masked, encoded["input_ids"], strict=True)
        ]

    def _masked(self, passage: Passage, text: bytes) -> tuple[str, list[Mask]]:
        """Return a passage with mask tokens in the place of its words, and what they stand for."""
        masks: list[Mask] = []
        parts, done, turns = [], passage.start, dict[int, int]()
        for word in passage.words:
            letters = text[word.start : word.end].decode()
            chinese = has_cjk(letters)
            sizes = (
                [len(letter.encode()) for letter in letters] if chinese else [len(letters.encode())]
            )
            parts += [text[done : word.start].decode(), self.mask_token * len(sizes)]
            done, start = word.end, word.start
            for size in sizes:
                turn = turns[word.span] = turns.get(word.span, -1) + 1
                masks.append(Mask(start, start + size, turn, chinese))
                start += size
        parts.append(text[done : passage.end].decode())
        return "".join(parts), masks

    def _fills(self, one: Prepared, tokens: Sequence[int]) -> list[Fill]:
        """Return the fills of a passage: one for each word."""
        fills = []
        number = 0
        for word in one.passage.words:
            letters = []
            while number < len(one.masks) and one.masks[number].start < word.end:
                token = tokens[number]
                letters.append(self._words[token] if token >= 0 else _original(one, number))
                number += 1
            was = one.text[word.start : word.end].decode()
            said = in_case("".join(letters), was, opens_sentence(one.text, word.start))
            fills.append(Fill(one.passage.row, word.start, word.end, said))
        return fills


def _original(one: Prepared, number: int) -> str:
    mask = one.masks[number]
    return one.text[mask.start : mask.end].decode()


def _whole_words(tokenizer: Any) -> dict[int, str]:
    """Return the tokens that are a word by themselves, or a Chinese character, and what they say.

    WordPiece marks what goes on with a word (`##`); byte-level BPE and sentencepiece mark what
    begins one (`Ġ`, `▁`), and Chinese characters stand there without.
    """
    special = set(tokenizer.all_special_ids)
    tokens = {token: text for text, token in tokenizer.get_vocab().items() if token not in special}
    begins = next(
        (mark for mark in ("Ġ", "▁") if sum(t.startswith(mark) for t in tokens.values()) > 1), ""
    )
    words = {}
    for token, text in tokens.items():
        said = tokenizer.decode([token]).strip() if begins == "Ġ" else text.removeprefix(begins)
        if said and _is_word(said) and (text.startswith(begins) or has_cjk(said)):
            words[token] = said
    return words


def _is_word(text: str) -> bool:
    """Return whether a text is letters, with apostrophes and hyphens, or one Chinese character."""
    points = [ord(letter) for letter in text]
    kinds = letter_kinds()[points]
    if np.isin(kinds, (MARK, DIGIT)).any() or not text[0].isalpha() or not text[-1].isalpha():
        return False
    return len(text) == 1 or not (char_classes()[points] == CJK).any()
