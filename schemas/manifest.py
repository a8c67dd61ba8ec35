"""`manifest.json`: what a dataset holds, where it came from, and the sums to check it by.

It is written last, so a folder without it is not a dataset.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pairsmith.schemas.errors import UserError
from pairsmith.schemas.pair import SCHEMA_VERSION


@dataclass(frozen=True)
class ShardFile:
    """One Parquet file of the dataset."""

    path: str
    """Relative to the dataset folder, with forward slashes."""
    rows: int
    bytes: int
    sha256: str


@dataclass(frozen=True)
class InputFile:
    """One file that was read. Only its name is kept: folders may tell who built it and where."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """Everything a reader may rely on. Equal content gives an equal `digest`."""

    recipe: Mapping[str, Any]
    """The recipe as data: name, seed, and every setting of every step."""
    recipe_digest: str
    """sha256 of the recipe as canonical JSON."""
    inputs: tuple[InputFile, ...]
    shards: tuple[ShardFile, ...]
    dropped: tuple[ShardFile, ...]
    failed: tuple[ShardFile, ...]
    counts: Mapping[str, Any]
    """`sources` and `pairs` as read/made, written, dropped, failed; `units`, `kinds`, `reasons`,
    `augmenters`: docs/dataset.md."""
    versions: Mapping[str, str]
    """Libraries that can change the bytes."""
    schema_version: int = SCHEMA_VERSION
    created: str = field(default="", compare=False)
    """UTC, ISO 8601. Outside the digest."""

    @property
    def digest(self) -> str:
        """Return the sha256 of the manifest as canonical JSON without its time stamp."""
        return digest(self._data())

    def to_json(self) -> str:
        """Return the text of `manifest.json`."""
        data = {**self._data(), "created": self.created, "digest": self.digest}
        return json.dumps(data, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @staticmethod
    def from_json(text: str | bytes, where: str) -> "Manifest":
        """Parse `manifest.json`; `where` names it in errors.

        Raises UserError when it is not JSON, lacks a field, is of a newer schema, or was edited.
        """
        try:
            data = json.loads(text)
            version = int(data["schema_version"])
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{where} is not a pairsmith manifest; build the dataset anew"
            ) from error
        if version > SCHEMA_VERSION:
            raise UserError(
                f"{where} has schema version {version}, this pairsmith reads up to "
                f"{SCHEMA_VERSION}; upgrade pairsmith"
            )
        try:
            files = {
                k: tuple(ShardFile(**f) for f in data[k]) for k in ("shards", "dropped", "failed")
            }
            manifest = Manifest(
                recipe=data["recipe"],
                recipe_digest=data["recipe_digest"],
                inputs=tuple(InputFile(**f) for f in data["inputs"]),
                counts=data["counts"],
                versions=data["versions"],
                schema_version=version,
                created=data["created"],
                **files,
            )
            stated = data["digest"]
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{where} lacks or misspells {error}; build the dataset anew"
            ) from error
        if stated != manifest.digest:
            raise UserError(f"{where} was changed after it was written; build the dataset anew")
        return manifest

    def _data(self) -> dict[str, Any]:
        data = dataclasses.asdict(self)
        del data["created"]
        return data


def digest(data: Any) -> str:
    """Return the sha256 of `data` as canonical JSON: sorted keys, no spaces, UTF-8."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
