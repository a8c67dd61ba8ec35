"""Words replaced by what a masked language model expects in their place."""

import functools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from pairsmith.augmenters.augmenter import Keys, Views
from pairsmith.augmenters.characters import CJK, char_classes
from pairsmith.augmenters.letters import DIGIT, MARK, letter_kinds
from pairsmith.augmenters.masks.draw import Drawing, draw_tokens, uniforms
from pairsmith.augmenters.masks.models import Device, Loaded, check_device, content, load
from pairsmith.augmenters.masks.words import Passage, fitting, is_chinese, masked_passages
from pairsmith.augmenters.masks.write import Fill, filled_views
from pairsmith.augmenters.operations import check_spans
from pairsmith.augmenters.translation.batches import run_batches
from pairsmith.schemas import UserError, require, subkeys

_AUTO = "AutoModelForMaskedLM"
_FILLS = 0xF111
"""Which subkey decides the words; the key itself decides which are masked."""


@dataclass(frozen=True)
class FillMask:
    """Mask words and let a masked language model (BERT, RoBERTa and their kin) fill them.

    A word becomes one mask and is replaced by a whole word of the model's vocabulary; a Chinese
    word becomes as many masks as it has characters. Masks that stand side by side are filled one
    after the other, from left to right, so that each sees those before it. Fills take the case of
    what they replace. All else stays, byte for byte. Numbers are not masked, nor punctuation.

    The view depends on text and key, save that a model rounds otherwise in a batch of another shape
    or on another processor, so that a draw at the very edge of two words may fall differently; a
    cache (`Cached`, or a build's) makes up for that. Texts beyond the model's length are cut at a
    space, and each part is filled by itself. Details hold `replaced`: pairs of was and is. No view,
    with the reason "mask token", for a text that holds the model's mask token itself.
    """

    name: ClassVar[str] = "fill_mask"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    needs: ClassVar[str] = "pairsmith[masks] and a masked language model"

    model: str
    """A folder, or a name on the Hugging Face hub."""
    density: float = 0.15
    """Share of the words that are masked: 0 <= density < 1."""
    mean_length: float = 1.0
    """Words in a span: at least 1."""
    _: KW_ONLY
    top_k: int = 50
    """Draw among so many likeliest words; 0 for all."""
    temperature: float = 1.0
    """The logits are divided by this; 0 takes the likeliest."""
    differ: bool = True
    """Whether a word is never filled with itself."""
    keeps_meaning: bool = True
    """False makes views hard negatives: a likely word in a word's place may well say otherwise."""
    device: Device = "auto"
    """"auto" takes a GPU if there is one."""
    batch_tokens: int = 4096
    """Padded tokens in a batch; halved when memory runs out."""

    def __post_init__(self) -> None:
        """Raise ValueError for a setting out of range."""
        check_spans(self.density, self.mean_length)
        check_device(self.device)
        if self.batch_tokens < 1:
            raise ValueError(f"batch_tokens must be at least 1, not {self.batch_tokens}")
        self._drawing()

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return "record": the key chooses the words."""
        return "record"

    def settings(self) -> dict[str, Any]:
        """Return what decides the views: the model by its content, not its place; no device."""
        names = ("density", "mean_length", "top_k", "temperature", "differ", "keeps_meaning")
        told = {name: getattr(self, name) for name in names}
        return {"model": content(self.model, _AUTO), **told}

    def setup(self) -> None:
        """Load the model. Raises UserError when it or a package is missing, or it is of no use."""
        _filler(self.model, self.device)

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return each text with masked words filled; null for null, or where there is a reason."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views with the reasons for none, and details.

        keys: uint64, shape (len(texts),).
        """
        filler = _filler(self.model, self.device)
        encoded = [text or b"" for text in texts.cast(pa.binary()).to_pylist()]
        reasons: dict[int, str] = {}
        passages = list(masked_passages(texts, keys, self.density, self.mean_length))
        prepared = filler.prepare(passages, encoded)
        for one in prepared:
            if len(one.places) != len(one.masks):
                reasons[one.passage.row] = "mask token"
        prepared = [one for one in prepared if one.passage.row not in reasons]
        own = subkeys(keys, _FILLS)

        def run(rows: list[int]) -> list[list[Fill]]:
            return filler.fill([prepared[row] for row in rows], own, self._drawing(), self.differ)

        lengths = [len(some.ids) for some in prepared]
        fills, _ = run_batches(run, lengths, self.batch_tokens)
        return filled_views(texts, [fill for some in fills for fill in some], reasons)

    def _drawing(self) -> Drawing:
        return Drawing(self.top_k, self.temperature)


class _Mask(NamedTuple):
    """A mask in a passage."""

    start: int
    """First byte of what it stands for, in the text."""
    end: int
    turn: int
    """When it is filled: masks of one turn stand in different spans."""
    chinese: bool


class _Prepared(NamedTuple):
    """A passage as the model reads it."""

    passage: Passage
    text: bytes
    masks: list[_Mask]
    ids: list[int]
    places: list[int]
    """Of the masks among the ids."""


@functools.cache
def _filler(model: str, device: Device) -> "_Filler":
    return _Filler(model, load(model, _AUTO, device))


class _Filler:
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
            if len(word) == 1 or not is_chinese(word):
                self._barred[int(is_chinese(word)), token] = 0.0
        self._head = self._find_head()

    def prepare(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[_Prepared]:
        """Return what the model reads of the passages, cut where they are too long for it."""

        def fits(some: Sequence[Passage]) -> list[bool]:
            read = self._encode(some, texts)
            return [len(one.ids) <= self._loaded.positions for one in read]

        return self._encode(fitting(passages, texts, fits), texts)

    def fill(
        self, batch: Sequence[_Prepared], keys: Keys, drawing: Drawing, differ: bool
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
            drawn = draw_tokens(logits, uniforms(owners, starts), drawing)
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

    def _encode(self, passages: Sequence[Passage], texts: Sequence[bytes]) -> list[_Prepared]:
        masked = [self._masked(passage, texts[passage.row]) for passage in passages]
        if not masked:
            return []
        encoded = self._tokenizer([text for text, _ in masked], truncation=False, verbose=False)
        mask_id = self._tokenizer.mask_token_id
        return [
            _Prepared(
                *(passage, texts[passage.row], masks, ids),
                [place for place, token in enumerate(ids) if token == mask_id],
            )
            for passage, (_, masks), ids in zip(passages, masked, encoded["input_ids"], strict=True)
        ]

    def _masked(self, passage: Passage, text: bytes) -> tuple[str, list[_Mask]]:
        """Return a passage with mask tokens in the place of its words, and what they stand for."""
        masks: list[_Mask] = []
        parts, done, turns = [], passage.start, dict[int, int]()
        for word in passage.words:
            letters = text[word.start : word.end].decode()
            chinese = is_chinese(letters)
            sizes = (
                [len(letter.encode()) for letter in letters] if chinese else [len(letters.encode())]
            )
            parts += [text[done : word.start].decode(), self.mask_token * len(sizes)]
            done, start = word.end, word.start
            for size in sizes:
                turn = turns[word.span] = turns.get(word.span, -1) + 1
                masks.append(_Mask(start, start + size, turn, chinese))
                start += size
        parts.append(text[done : passage.end].decode())
        return "".join(parts), masks

    def _fills(self, one: _Prepared, tokens: Sequence[int]) -> list[Fill]:
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
            fills.append(
                Fill(one.passage.row, word.start, word.end, in_case("".join(letters), was))
            )
        return fills


def in_case(fill: str, was: str) -> str:
    """Return a fill in small letters as what it replaces was: capitalised or in capitals."""
    if fill != fill.lower() or was[0] == was[0].lower():
        return fill
    if len(was) > 1 and was == was.upper():
        return fill.upper()
    return fill[0].upper() + fill[1:]


def _original(one: _Prepared, number: int) -> str:
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
        if said and _is_word(said) and (text.startswith(begins) or is_chinese(said)):
            words[token] = said
    return words


def _is_word(text: str) -> bool:
    """Return whether a text is letters, with apostrophes and hyphens, or one Chinese character."""
    points = [ord(letter) for letter in text]
    kinds = letter_kinds()[points]
    if np.isin(kinds, (MARK, DIGIT)).any() or not text[0].isalpha() or not text[-1].isalpha():
        return False
    return len(text) == 1 or not (char_classes()[points] == CJK).any()
