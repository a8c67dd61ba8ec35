"""Workers of an engine may have another working folder than the driver, and rivals."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from pairsmith.pipelines.build import BuildConfig, build
from pairsmith.pipelines.engines.elsewhere import build_elsewhere
from pairsmith.pipelines.job import Job
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.rules import Mask, Measured, Values
from pairsmith.pipelines.recipe.shipped import quickstart
from pairsmith.schemas import Manifest, UserError, open_dataset
from tests.engines.conftest import SHARDS
from tests.pipelines.corpora import pairsmith

IN_PLACE = "--runner=BundleBasedDirectRunner"
WORKERS_MOVE = """
import os, sys
if "apache_beam.runners.worker.sdk_worker_main" in sys.orig_argv:
    os.chdir(os.environ["AWAY"])
"""


def test_workers_with_another_working_folder_find_the_input_and_the_output(
    tmp_path: Path, corpus: Path, expected: Manifest
) -> None:
    here, away = tmp_path / "here", tmp_path / "away"
    here.mkdir()
    away.mkdir()
    shutil.copy(corpus, here)
    (tmp_path / "sitecustomize.py").write_text(WORKERS_MOVE)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "AWAY": str(away)}
    flags = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")
    arguments = ("quickstart", "--shards", SHARDS, "--input", corpus.name, "--output", "out")
    done = pairsmith("build", *arguments, *flags, cwd=here, env=environment)
    assert done.returncode == 0, done.stderr
    assert open_dataset(here / "out").manifest.shards == expected.shards
    assert not list(away.iterdir())


def test_a_job_that_left_nothing_where_the_driver_looks_is_one_line(tmp_path: Path) -> None:
    job = Job(quickstart(), str(tmp_path), str(tmp_path / ".work"), batch_rows=100)
    with pytest.raises(UserError, match=r"there is no .*results\.json: choose an --output"):
        build_elsewhere(job, [], [IN_PLACE], None)


@dataclass(frozen=True)
class Rival:
    """Writes what another build would into the new dataset, whenever pairs are looked at."""

    folder: str
    adds: bool
    reason: str = "rival"

    def refused_pairs(self, pairs: Measured) -> tuple[Mask, Values]:
        shards = Path(self.folder, ".work/new/shards")
        shards.mkdir(parents=True, exist_ok=True)
        for path in [shards / "00099.parquet"] if self.adds else shards.glob("*.parquet"):
            path.write_bytes(b"of another build")
        return np.zeros(len(pairs.anchors), bool), np.zeros(len(pairs.anchors))


@pytest.mark.parametrize("adds", [True, False], ids=["one more", "another's"])
def test_files_that_workers_have_not_told_of_are_refused(
    tmp_path: Path, corpus: Path, adds: bool
) -> None:
    output = tmp_path / "out"
    gates = (Rival(str(output), adds),)
    recipe = Recipe((Pair("same", View(), View()),), gates=gates, shards=SHARDS)
    told = r"is not what this build wrote: .*; run one build at a time into"
    with pytest.raises(UserError, match=told):
        build(recipe, "mine", [str(corpus)], output, BuildConfig(beam_flags=[IN_PLACE]))
    assert not output.exists()
