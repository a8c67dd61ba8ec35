"""What a model once said is never asked again, and is said again to the byte."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.augmenters import (
    Cached,
    OneOf,
    Sequence,
    Views,
    WordDropout,
    cache,
    from_function,
    views_of,
)
from pairsmith.augmenters.cache import SCHEMA, with_cache
from pairsmith.augmenters.unfinished import UnfinishedUserError
from pairsmith.schemas import UserError
from tests.augmenters.fakes import Calls, Model
from tests.augmenters.plain_tokens import keys
from tests.augmenters.properties import check_properties


@pytest.fixture(autouse=True)
def _new_process():
    """Each test begins as a new process does: what is known is what lies in the folder."""
    cache._index.cache_clear()


def forget():
    """Do as if a new process began."""
    cache._index.cache_clear()


def texts_of(count):
    return [f"text number {n}" for n in range(count)]


def listed(views):
    return [column.to_pylist() for column in views]


def test_a_second_run_asks_nothing_and_returns_the_same_with_reasons_and_details(tmp_path):
    texts, own = pa.array([*texts_of(2000), None, "a £", "", "中文"]), keys(2004)
    first = Model()
    made = views_of(Cached(first, str(tmp_path)), texts, own)
    assert first.calls.setups >= 1
    assert made.texts[2000].as_py() is None
    assert made.reasons[2001].as_py() == "a pound"
    assert made.details[0].as_py() == '{"of": 1024}'
    forget()
    second = Model()
    assert listed(views_of(Cached(second, str(tmp_path)), texts, own)) == listed(made)
    assert (second.calls.batches, second.calls.setups) == ([], 0)


def test_the_next_run_finds_what_this_one_used_whatever_else_was_added_in_between(tmp_path):
    """Two records with one text may have got different views; each gets its own again."""
    one, other = pa.array(["same", "a"]), pa.array(["same", "b", "c", "d"])
    first = views_of(Cached(Model(), str(tmp_path / "1")), one, keys(2, 1))
    second = views_of(Cached(Model(), str(tmp_path / "2")), other, keys(4, 2))
    assert first.texts[0] != second.texts[0]
    # Two processes at once: neither saw the other's file. Then their folders become one.
    merged = next((tmp_path / "1").iterdir())
    for file in (tmp_path / "2").rglob("*.parquet"):
        file.rename(merged / file.name)
    forget()
    asked = Model()
    again = Cached(asked, str(tmp_path / "1"))
    assert views_of(again, one, keys(2, 1)).texts.equals(first.texts)
    assert views_of(again, other, keys(4, 2)).texts.equals(second.texts)
    # A third record with that text gets one of the two, and gets it ever after.
    third = views_of(again, one[:1], keys(1, 3)).texts
    forget()
    assert views_of(again, one[:1], keys(1, 3)).texts.equals(third)
    assert asked.calls.batches == []


def test_equal_texts_are_asked_about_once_unless_views_depend_on_keys(tmp_path):
    texts, own = pa.array(["a", "b", "a", "a"]), keys(4)
    by_text = Model()
    views = Cached(by_text, str(tmp_path))(texts, own).to_pylist()
    assert by_text.calls.batches == [["a", "b"]]
    assert views == ["a of 2", "b of 2", "a of 2", "a of 2"]
    by_record = Model(cache_by="record")
    views = Cached(by_record, str(tmp_path))(texts, own).to_pylist()
    assert sorted(by_record.calls.texts) == ["a", "a", "a", "b"]
    assert views == [f"{text} of 4 {key}" for text, key in zip("abaa", own.tolist(), strict=True)]
    assert Cached(by_record, str(tmp_path))(texts, keys(4, 9)).to_pylist() != views


def test_a_run_that_broke_half_way_goes_on_where_it_was(tmp_path):
    texts, own = pa.array(texts_of(5000)), keys(5000)
    broken = Model(Calls(fails_at=3))
    with pytest.raises(RuntimeError):
        Cached(broken, str(tmp_path))(texts, own)
    forget()
    rest = Model()
    views = Cached(rest, str(tmp_path))(texts, own)
    assert len(rest.calls.texts) == 5000 - 3 * cache.ROWS_PER_FILE
    assert views.null_count == 0
    assert [v.split(" of ")[0] for v in views.to_pylist()] == texts_of(5000)


def test_another_setting_or_version_has_rows_of_its_own(tmp_path):
    texts, own = pa.array(["a"]), keys(1)
    model = Model()
    Cached(model, str(tmp_path))(texts, own)
    Cached(model.with_setting(2), str(tmp_path))(texts, own)
    assert len(model.calls.batches) == 2
    assert len(list(tmp_path.iterdir())) == 2


def test_processes_add_to_one_cache_at_once_and_its_files_are_whole(tmp_path):
    code = """
import sys, pyarrow as pa, numpy as np
from pairsmith.augmenters import Cached
from tests.augmenters.fakes import Model
texts = pa.array([f"text number {n}" for n in range(3000)])
print(Cached(Model(), sys.argv[1])(texts, np.arange(3000, dtype=np.uint64)).null_count)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait() for process in running] == [0, 0, 0]
    rows = [pq.read_table(file).num_rows for file in tmp_path.rglob("*.parquet")]
    assert sum(rows) >= 3000
    assert not list(tmp_path.rglob(".*"))
    asked = Model()
    Cached(asked, str(tmp_path))(pa.array(texts_of(3000)), np.arange(3000, dtype=np.uint64))
    assert asked.calls.batches == []


def test_a_damaged_file_is_named(tmp_path):
    Cached(Model(), str(tmp_path))(pa.array(["a"]), keys(1))
    file = next(tmp_path.rglob("*.parquet"))
    file.write_bytes(file.read_bytes()[:-9])
    forget()
    with pytest.raises(UserError, match=rf"{file.name}.*damaged.*remove it"):
        Cached(Model(), str(tmp_path))(pa.array(["a"]), keys(1))


def test_a_file_with_damaged_views_is_named(tmp_path):
    Cached(Model(), str(tmp_path))(pa.array(["a"]), keys(1))
    file = next(tmp_path.rglob("*.parquet"))
    column = pq.read_metadata(file).row_group(0).column(SCHEMA.get_field_index("view"))
    data = bytearray(file.read_bytes())
    begin = column.dictionary_page_offset or column.data_page_offset
    data[begin : begin + column.total_compressed_size] = b"\xff" * column.total_compressed_size
    file.write_bytes(data)
    forget()
    with pytest.raises(UserError, match=rf"{file.name}.*damaged[^\n]*remove it$"):
        Cached(Model(), str(tmp_path))(pa.array(["a"]), keys(1))


def test_a_file_that_is_removed_while_it_is_in_use_is_told(tmp_path):
    Cached(Model(), str(tmp_path))(pa.array(["a"]), keys(1))
    forget()
    cached = Cached(Model(), str(tmp_path))
    cached.index.refresh()
    next(tmp_path.rglob("*.parquet")).unlink()
    with pytest.raises(UserError, match=r"removed while it was in use; run the command again$"):
        cached(pa.array(["a"]), keys(1))


def test_a_cache_that_cannot_be_written_says_which_option_names_it(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"cannot write to the cache .*Not a directory.*--cache$"):
        Cached(Model(), str(tmp_path / "file"))(pa.array(["a"]), keys(1))


def test_a_cached_augmenter_is_recorded_as_the_augmenter_itself(tmp_path):
    from pairsmith.augmenters.settings import as_data

    model = Model(setting=7)
    cached = Cached(model, str(tmp_path))
    assert cached.settings() == as_data(model)
    assert (cached.name, cached.version, cached.languages) == ("model", 1, ())
    assert (cached.keeps_meaning, cached.needs) == (True, "nothing")


def test_only_what_asks_a_model_is_cached_wherever_it_stands(tmp_path):
    chain = Sequence(WordDropout(), OneOf(Model(), WordDropout(), weights=(2, 1)))
    wrapped = with_cache(chain, str(tmp_path))
    assert isinstance(wrapped.steps[0], WordDropout)
    assert wrapped.steps[1].weights == (2, 1)
    assert isinstance(wrapped.steps[1].steps[0], Cached)
    assert isinstance(wrapped.steps[1].steps[1], WordDropout)
    assert wrapped.name == chain.name


def test_the_promises_hold_through_a_cache(tmp_path):
    class Quiet(Model):
        """A model that does not depend on the batch, as promises are about."""

        def views(self, texts, keys):
            made = super().views(texts, keys)
            same = pa.array([t and t.upper() for t in texts.to_pylist()], pa.string())
            return made._replace(
                texts=same,
                reasons=pa.nulls(len(texts), pa.string()),
                details=pa.nulls(len(texts), pa.string()),
            )

    check_properties(Cached(Quiet(), str(tmp_path)))


def test_a_cache_of_many_runs_finds_every_row(tmp_path):
    """Sorted runs are merged as they grow; every row stays where it can be found."""
    model = Model(cache_by="record")
    cached = Cached(model, str(tmp_path))
    made = {}
    for start in range(0, 40):
        texts = pa.array([f"{start}/{n}" for n in range(start % 7 + 1)])
        own = np.array(
            [int(hashlib.sha256(t.encode()).hexdigest()[:15], 16) for t in texts.to_pylist()],
            np.uint64,
        )
        made[start] = (texts, own, cached(texts, own).to_pylist())
    asked = len(model.calls.batches)
    forget()
    for texts, own, views in made.values():
        assert cached(texts, own).to_pylist() == views
    assert len(model.calls.batches) == asked


@dataclass(frozen=True)
class Itself:
    """Returns each text itself, so that a view of another text is seen."""

    name: ClassVar[str] = "itself"
    version: ClassVar[int] = 1
    languages: ClassVar[tuple[str, ...]] = ()
    keeps_meaning: ClassVar[bool] = True
    needs: ClassVar[str] = "nothing"
    cache_by: ClassVar[Literal["text", "record"]] = "text"

    def setup(self):
        pass

    def __call__(self, texts, keys):
        return texts


def test_threads_of_one_process_get_the_views_of_their_own_texts(tmp_path):
    """Bundles of one worker process run at once, on what the process knows of the cache."""
    cached = Cached(Itself(), str(tmp_path))
    count, files = 600, 40
    old = [pa.array([f"{file}/{n}" for n in range(count)]) for file in range(files)]
    for texts in old:
        cached(texts, keys(count))
    forget()
    begin = threading.Barrier(8)

    def ask(thread):
        begin.wait()
        new = [pa.array([f"{thread}/{turn}/{n}" for n in range(count)]) for turn in range(3)]
        asked = [*old, *new, *new]
        return [texts for texts in asked if not cached(texts, keys(count)).equals(texts)]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            wrong = list(pool.map(ask, range(8)))
    finally:
        sys.setswitchinterval(before)
    assert wrong == [[]] * 8
    assert cached.index.tally == (8 * (files + 3) * count, 8 * 3 * count)


def shouted(text, rng):
    return text.upper()


@dataclass(frozen=True)
class Stopping(Itself):
    """Stops before the last text of a batch, as one does whose money is spent."""

    calls: Calls = field(default_factory=Calls, compare=False)

    def settings(self):
        return {}

    def views(self, texts, keys):
        self.calls.add(texts.to_pylist())
        nothing = pa.nulls(len(texts), pa.string())
        views = Views(texts, nothing, nothing)
        if len(self.calls.batches) > 1:
            return views
        raise UnfinishedUserError("no money", np.arange(len(texts)) < len(texts) - 1, views)


@pytest.mark.parametrize(
    "composed",
    [
        lambda part: Sequence(WordDropout(0.5), part, from_function(shouted)),
        lambda part: OneOf(from_function(shouted), part),
        lambda part: OneOf(from_function(shouted), Cached(part, "")),
    ],
    ids=["sequence", "one of", "one of, cached itself"],
)
def test_what_a_part_did_before_it_stopped_is_kept_as_no_view_of_the_whole(
    tmp_path, monkeypatch, composed
):
    monkeypatch.chdir(tmp_path)
    texts, own = pa.array(texts_of(20)), keys(20)
    expected = composed(Itself())(texts, own)
    forget()
    whole = Cached(composed(Stopping()), str(tmp_path / "whole"))
    with pytest.raises(UserError, match="no money"):
        whole(texts, own)
    assert whole(texts, own).equals(expected)
