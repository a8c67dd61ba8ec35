import dataclasses
import hashlib
import json
import re

import pytest

from pairsmith.schemas import SCHEMA_VERSION, Manifest, ShardFile, UserError
from pairsmith.schemas.manifest import InputFile

MANIFEST = Manifest(
    recipe={"name": "quickstart", "seed": 17, "pairs": [{"kind": "改写", "p": 0.15}]},
    recipe_digest="00",
    inputs=(InputFile("a.parquet", 10),),
    shards=(ShardFile("shards/0.parquet", 3, 100, "ab"),),
    dropped=(),
    failed=(ShardFile("failed/0.parquet", 1, 50, "cd"),),
    counts={"pairs": {"made": 4, "written": 3, "dropped": 0, "failed": 1}},
    versions={"pyarrow": "25.0.1"},
    created="2026-11-24T12:00:00Z",
)


def refusal(text):
    with pytest.raises(UserError) as caught:
        Manifest.from_json(text, "data/manifest.json")
    message = str(caught.value)
    assert "\n" not in message
    assert "data/manifest.json" in message
    return message


def edited(**changes):
    return json.dumps({**json.loads(MANIFEST.to_json()), **changes})


def test_a_manifest_comes_back_from_its_json():
    again = Manifest.from_json(MANIFEST.to_json(), "here")
    assert again == MANIFEST
    assert again.created == MANIFEST.created
    assert again.to_json() == MANIFEST.to_json()


def test_the_json_is_readable_and_its_keys_are_sorted():
    text = MANIFEST.to_json()
    assert "改写" in text
    assert list(json.loads(text)) == sorted(json.loads(text))
    assert text.endswith("}\n")


def test_the_digest_ignores_the_time_stamp_and_nothing_else():
    later = dataclasses.replace(MANIFEST, created="2027-01-01T00:00:00Z")
    assert later.digest == MANIFEST.digest
    assert later == MANIFEST
    changes = {
        "recipe": {},
        "recipe_digest": "01",
        "inputs": (),
        "shards": (),
        "dropped": MANIFEST.shards,
        "failed": (),
        "counts": {},
        "versions": {},
        "schema_version": 0,
    }
    assert {*changes, "created"} == {f.name for f in dataclasses.fields(Manifest)}
    digests = {dataclasses.replace(MANIFEST, **{k: v}).digest for k, v in changes.items()}
    assert len({*digests, MANIFEST.digest}) == len(changes) + 1


def test_the_digest_is_the_sha256_of_canonical_json():
    data = json.loads(MANIFEST.to_json())
    stated = data.pop("digest")
    del data["created"]
    text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert stated == MANIFEST.digest == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "7", "null", "{}", '{"schema_version": "x"}', b"\xff\xfe\xfd", "\x00"],
)
def test_what_is_not_a_manifest_is_refused(text):
    assert "is not a pairsmith manifest" in refusal(text)


def test_a_newer_schema_version_is_refused_before_anything_else_is_read():
    message = refusal(json.dumps({"schema_version": SCHEMA_VERSION + 1, "unknown": True}))
    assert f"schema version {SCHEMA_VERSION + 1}" in message
    assert "upgrade pairsmith" in message


@pytest.mark.parametrize("name", [*json.loads(MANIFEST.to_json())])
def test_a_manifest_that_lacks_a_field_is_refused_by_its_name(name):
    data = json.loads(MANIFEST.to_json())
    del data[name]
    message = refusal(json.dumps(data))
    assert name in message or name == "schema_version"


@pytest.mark.parametrize("shards", [None, 3, "abc", [{}], [{"path": "a", "colour": 1}], [[1]]])
def test_a_manifest_with_a_garbled_list_of_shards_is_refused(shards):
    assert re.search("lacks or misspells", refusal(edited(shards=shards)))


@pytest.mark.parametrize(
    "changes", [{"counts": {}}, {"recipe": {"seed": 18}}, {"shards": []}, {"digest": "00"}]
)
def test_a_manifest_that_was_edited_is_refused(changes):
    assert "was changed after it was written" in refusal(edited(**changes))


def test_the_time_stamp_may_be_edited():
    assert Manifest.from_json(edited(created="long ago"), "here") == MANIFEST
