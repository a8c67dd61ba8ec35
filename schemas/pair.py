"""Arrow schemas of the files in a dataset folder.

`PAIRS` is the contract with every reader, inside and outside this project; a change that an old
reader would misread raises `SCHEMA_VERSION`.
"""

import pyarrow as pa

SCHEMA_VERSION = 1
VERSION_KEY = b"pairsmith.schema_version"
ROW_GROUP_ROWS = 8192

_NAME = pa.dictionary(pa.int32(), pa.string())


def _fixed(name: str, kind: pa.DataType) -> pa.Field:
    return pa.field(name, kind, nullable=False)


NEGATIVE_INFO = pa.struct(
    [
        _fixed("kind", pa.string()),
        pa.field("source_id", pa.string()),
        pa.field("rank", pa.int32()),
        pa.field("score", pa.float32()),
        pa.field("teacher", pa.string()),
    ]
)

PAIRS = pa.schema(
    [
        _fixed("pair_id", pa.string()),  # 128-bit hex hash of (source id, unit, kind, draw)
        _fixed("anchor", pa.string()),
        _fixed("positive", pa.string()),
        _fixed("negatives", pa.list_(_fixed("element", pa.string()))),  # hard ones first
        _fixed("negative_info", pa.list_(_fixed("element", NEGATIVE_INFO))),  # one per negative
        _fixed("source_id", pa.string()),  # the document
        _fixed("unit", pa.int32()),  # which segment of it the anchor is
        _fixed("group_id", pa.uint64()),  # equal: may say the same, never negatives of each other
        _fixed("anchor_hash", pa.uint64()),  # of the normalised text
        _fixed("positive_hash", pa.uint64()),
        _fixed("kind", _NAME),
        _fixed("anchor_view", _NAME),
        _fixed("positive_view", _NAME),
        _fixed("draw", pa.int32()),
        pa.field("lang", _NAME),
        pa.field("similarity", pa.float32()),  # what the pair gates measured
        pa.field("overlap", pa.float32()),
        _fixed("weight", pa.float32()),
        pa.field("label", pa.string()),
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()},
)
"""One row, one example."""

OPTIONAL = pa.schema(
    [
        pa.field("details", pa.string()),  # JSON: what augmenters measured or changed, by role
        pa.field("anchor_ids", pa.list_(_fixed("element", pa.int32()))),  # of a sentencepiece model
        pa.field("positive_ids", pa.list_(_fixed("element", pa.int32()))),
    ]
)
"""Columns that stand behind those of PAIRS in the shards of recipes that ask for them."""


def with_columns(*names: str, model: str = "") -> pa.Schema:
    """Return PAIRS with the OPTIONAL columns of these names behind it.

    model: sha256 of the sentencepiece model of the ids, kept in the metadata of their fields.
    """
    schema = PAIRS
    for field in OPTIONAL:
        if field.name in names:
            ids = pa.types.is_list(field.type)
            schema = schema.append(field.with_metadata({"model": model}) if ids else field)
    return schema


REJECTED = pa.schema(
    [
        pa.field("source_id", pa.string()),  # null: the row never became a source
        pa.field("unit", pa.int32()),  # null: the whole source
        pa.field("kind", _NAME),  # null: before pairing
        pa.field("draw", pa.int32()),
        _fixed("stage", _NAME),  # read, duplicates, segment, screen, pair, gate, negatives
        _fixed("reason", pa.string()),  # few distinct values: counted in the manifest
        pa.field("detail", pa.string()),  # the measured value or the error's own words
        pa.field("text", pa.string()),  # the unit, or what is left of a row that failed
        pa.field("path", pa.string()),  # input file name, for rows rejected while reading
        pa.field("position", pa.int64()),  # row number, or byte offset of a line
    ],
    metadata={VERSION_KEY: str(SCHEMA_VERSION).encode()},
)
"""Rows of `dropped/` (a rule said no) and `failed/` (an error)."""
