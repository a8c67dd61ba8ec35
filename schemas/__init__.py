"""The contract between the halves: what a row, a shard, a manifest and a key are."""

from pairsmith.schemas.dataset import Dataset, open_dataset, problems, read_manifest
from pairsmith.schemas.errors import UserError, check_installed, require
from pairsmith.schemas.files import put, writing
from pairsmith.schemas.interrupts import heeding_interrupts
from pairsmith.schemas.keys import (
    group_ids,
    pair_ids,
    record_keys,
    shard_numbers,
    subkeys,
    text_hashes,
    text_ids,
)
from pairsmith.schemas.manifest import Manifest, ShardFile
from pairsmith.schemas.pair import (
    OPTIONAL,
    PAIRS,
    REJECTED,
    ROW_GROUP_ROWS,
    SCHEMA_VERSION,
    with_columns,
)

__all__ = [
    "OPTIONAL",
    "PAIRS",
    "REJECTED",
    "ROW_GROUP_ROWS",
    "SCHEMA_VERSION",
    "Dataset",
    "Manifest",
    "ShardFile",
    "UserError",
    "check_installed",
    "group_ids",
    "heeding_interrupts",
    "open_dataset",
    "pair_ids",
    "problems",
    "put",
    "read_manifest",
    "record_keys",
    "require",
    "shard_numbers",
    "subkeys",
    "text_hashes",
    "text_ids",
    "with_columns",
    "writing",
]
