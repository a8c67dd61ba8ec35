"""Ids kept beside the shards: row i of part k holds the ids of row i of shard k.

Kept are whole texts without special tokens, so that one cache serves every length; `token_ids` cuts
and frames them. A text's ids are one value of bytes: next to a list of integers that is read four
times as fast, shuffled 35 times as fast, and takes a third less room under zstd.
"""

import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import Dataset, UserError
from pairsmith.schemas.manifest import digest
from pairsmith.training.settings import AtLeast

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FORMAT = 2  # 1 had other hashes of negatives that are not plain ASCII
MANIFEST = "manifest.json"
KEY = b"pairsmith.tokens"
"""Of a part's metadata: JSON that says which shard and tokenizer it was made of."""
TEXT_IDS = ("anchor_ids", "positive_ids")
NEGATIVE_IDS = ("negatives_ids", "negatives_hash")
_DRAWING = ("dropout", "alpha", "nbest_size")


@dataclass(frozen=True)
class TokenConfig:
    """Whether, where and by how many the ids of all texts are kept."""

    token_cache: bool | Literal["read"] | None = None
    """Keep the ids of all texts for later epochs and runs; None: if this run has several epochs;
    read: use those that are there, and make none."""
    token_folder: Path | None = None
    """Where to keep ids, where not in the folder `tokens` of the dataset; those of datasets in
    object stores are kept in --shard-cache."""
    token_workers: Annotated[int, AtLeast(0)] = 0
    """Processes that make ids, of each process of torchrun; 0: one for each core, shared by these.
    Of datasets in stores, --workers make them."""

    @property
    def reading(self) -> "TokenConfig":
        """Return these settings for a trial that leaves nothing: it makes no ids."""
        if self.token_cache is False:
            return self
        return replace(self, token_cache="read")  # noqa: S106 - no password


@dataclass(frozen=True)
class Part:
    """The ids of one shard."""

    path: str
    """Its name in the cache's folder."""
    sha256: str
    """Of the shard."""
    rows: int
    tokens: int
    """Ids kept, of anchors, positives and negatives."""
    bytes: int


@dataclass(frozen=True)
class TokenCache:
    """The ids of a whole dataset, by one tokenizer."""

    root: Path
    tokenizer: str
    """Digest of the tokenizer."""
    width: int
    """Bytes of an id: 2, or 4 for more than 65,536 subwords."""
    parts: tuple[Part, ...]
    """One for each shard, in the order of the dataset's manifest."""

    def read(self, shard: int, row_group: int, *, negatives: bool = False) -> pa.Table:
        """Return the ids of the rows that this row group of this shard has, in their order.

        Columns `anchor_ids`, `positive_ids`: large_binary, little-endian, for `from_bytes`. With
        negatives: `negatives_ids`, large lists of the same, and `negatives_hash`, large lists of
        uint64, the `text_hashes` of the texts.
        Raises UserError when the part cannot be read any more or was replaced.
        """
        part = self.parts[shard]
        path = self.root / part.path
        columns = [*TEXT_IDS, *(NEGATIVE_IDS if negatives else ())]
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if not made_of(file, part.sha256, self.tokenizer):
                    raise UserError(f"{path} was replaced meanwhile; run the same command again")
                return file.read_row_group(row_group, columns=columns, use_threads=False)
        except (OSError, pa.ArrowException) as error:
            raise UserError(
                f"{path} cannot be read any more ({error}); delete {self.root}"
            ) from error


def open_tokens(dataset: Dataset, tokenizer: "Tokenizer", folder: Path | None = None) -> TokenCache:
    """Return the ids of `dataset` that were made before.

    Raises UserError when there are none, or they are of other shards or cut off.
    """
    root, name = token_folder(dataset, tokenizer, folder), tokenizer_digest(tokenizer)
    again = "make them anew with --token-cache True"
    try:
        data = json.loads((root / MANIFEST).read_text("utf-8"))
        parts = tuple(Part(**part) for part in data["parts"])
        width, known = data["width"], (data["format"], data["tokenizer"]) == (FORMAT, name)
    except FileNotFoundError as error:
        raise UserError(f"{root} has no {MANIFEST}: no ids were kept; {again}") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{root / MANIFEST} is damaged; {again}") from error
    shards = [shard.sha256 for shard in dataset.manifest.shards]
    if not known or [part.sha256 for part in parts] != shards:
        raise UserError(f"{root} holds ids of other shards than {dataset.root} has; {again}")
    for part in parts:
        path = root / part.path
        if not path.is_file() or path.stat().st_size != part.bytes:
            raise UserError(f"{path} is missing or cut off; {again}")
    return TokenCache(root, name, width, parts)


def token_folder(dataset: Dataset, tokenizer: "Tokenizer", folder: Path | None = None) -> Path:
    """Return the folder of the ids of `dataset`: beside its shards, or in a folder for several."""
    name = tokenizer_digest(tokenizer)[:16]
    if folder is None:
        return dataset.root / "tokens" / name
    return folder / dataset.manifest.digest[:16] / name


def tokenizer_digest(tokenizer: "Tokenizer") -> str:
    """Return the sha256 of all that decides a text's ids before special tokens and truncation.

    The library's version is part of it: tables of characters change from one to the next.
    Raises UserError for a tokenizer that cuts at random.
    """
    data = json.loads(tokenizer.to_str())
    for name in ("padding", "truncation", "post_processor", "decoder"):
        data.pop(name, None)
    if draws(tokenizer):
        raise UserError("the tokenizer cuts texts at random; train with --token-cache False")
    data |= {"version": [FORMAT, version("tokenizers")]}
    data |= {"encode_special_tokens": tokenizer.encode_special_tokens}
    return digest(data)


def draws(tokenizer: "Tokenizer") -> bool:
    """Tell whether the tokenizer cuts a text at random: BPE dropout, or unigram sampling."""
    return any(getattr(tokenizer.model, name, None) for name in _DRAWING)


def made_of(file: pq.ParquetFile, shard: str, tokenizer: str) -> bool:
    """Tell whether a part was made of the shard of this sha256 by the tokenizer of this digest."""
    about = json.loads((file.metadata.metadata or {}).get(KEY, b"{}"))
    return (about.get("shard"), about.get("tokenizer")) == (shard, tokenizer)


def id_width(tokenizer: "Tokenizer") -> int:
    """Return the bytes that an id takes: 2, or 4 where there are more than 65,536 subwords."""
    return 2 if max(tokenizer.get_vocab().values(), default=0) < 1 << 16 else 4
