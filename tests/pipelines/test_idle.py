"""An augmenter that changes next to nothing stops a build, and how much each changed is kept."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from rich.console import Console

from pairsmith.augmenters import WordDropout, from_function
from pairsmith.augmenters.changes import changes_of
from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.schemas import Dataset, UserError
from tests.pipelines.corpora import documents, write_jsonl
from tests.pipelines.forked import Forks


def seldom(text: str, rng: np.random.Generator) -> str | None:
    draw = rng.random()
    return None if draw < 0.02 else text + "!" if draw < 0.03 else text


def run(
    folder: Path,
    count: int = 60,
    config: BuildConfig = BuildConfig(),  # noqa: B008 - frozen
    console: Console | None = None,
) -> Dataset:
    pair = Pair("seldom", View(), View(WordDropout(0.5), from_function(seldom)))
    rows = documents(count)
    files = [str(write_jsonl(folder / "in.jsonl", rows))]
    return build(Recipe((pair,)), "test", files, folder / "out", config, console)


def test_a_build_is_refused_when_an_augmenter_changed_too_little(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"seldom/positive/2:seldom changed .* of 5\d\d texts"):
        run(tmp_path)
    assert not (tmp_path / "out").exists()


def test_it_is_a_warning_when_asked_for(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    run(tmp_path, config=BuildConfig(warn_idle=True), console=console)
    assert "warning: seldom/positive/2:seldom changed" in console.export_text()


def test_the_floor_is_a_setting_and_no_view_is_not_idleness(tmp_path: Path) -> None:
    counts = run(tmp_path, config=BuildConfig(min_changed=0.02)).manifest.counts["augmenters"]
    told = counts["seldom/positive/2:seldom"]
    # 2 % no view and 1 % changed, in 500 texts: three standard deviations.
    assert 0 < told["no_view"] < 21
    assert 0 < told["changed"] < 15


def test_few_texts_raise_no_alarm(tmp_path: Path) -> None:
    assert run(tmp_path, count=8).rows


def test_the_manifest_tells_how_much_each_augmenter_changed(tmp_path: Path) -> None:
    counts = run(tmp_path, config=BuildConfig(min_changed=0)).manifest.counts["augmenters"]
    assert list(counts) == ["seldom/positive/1:word_dropout", "seldom/positive/2:seldom"]
    dropout, idle = counts.values()
    assert dropout["texts"] == idle["texts"]
    assert sum(dropout["changed_share"]) == dropout["changed"] > 0.9 * dropout["texts"]
    assert idle["changed_share"][0] == idle["changed"]  # one mark more is less than a tenth


def test_how_much_is_what_lies_between_a_common_beginning_and_end() -> None:
    before = ["0123456789", "0123456789", "0123456789", "0123456789", "", None, "x", "同样的字"]
    after = ["0123456789", "x123456789", "0xxxxxxxx9", "abcdefghij", "", None, None, "同样字"]
    counts = changes_of(pa.array(before), pa.array(after)).tolist()
    # No view; unchanged twice; then by tenths: 1 of 10, 3 bytes of 12, 8 of 10, 10 of 10.
    assert counts == [1, 2, 1, 0, 1, 0, 0, 0, 0, 1, 0, 1]
    assert sum(counts) == 7


def test_the_command_has_the_settings(tmp_path: Path, forks: Forks) -> None:
    write_jsonl(tmp_path / "in.jsonl", documents(40))
    (tmp_path / "mine.py").write_text(
        "from pairsmith.augmenters import from_function\n"
        "from pairsmith.pipelines.recipe import Pair, Recipe, View\n"
        "def nothing(text, rng):\n    return text\n"
        "def idle():\n"
        "    return Recipe((Pair('idle', View(), View(from_function(nothing)), gates=()),))\n"
    )
    command = (tmp_path / "mine.py:idle", "--input", tmp_path / "in.jsonl", "--output")
    refused = forks.run(*command, tmp_path / "out")
    assert refused.code == 2
    assert "idle/positive/1:nothing changed 0 of 360 texts" in refused.said
    assert "--warn-idle" in refused.said
    warned = forks.run(*command, tmp_path / "out", "--warn-idle")
    assert warned.code == 0, warned.said
    assert "warning: " in warned.said
    allowed = forks.run(*command, tmp_path / "other", "--min-changed", 0)
    assert allowed.code == 0
    assert "warning: " not in allowed.said
