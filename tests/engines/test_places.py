"""Workers of an engine may have another working folder, or another file system, than the driver."""

import os
import shutil
from pathlib import Path

import pytest

from pairsmith.pipelines.elsewhere import build_elsewhere
from pairsmith.pipelines.job import Job
from pairsmith.pipelines.recipes import quickstart
from pairsmith.schemas import Manifest, UserError, open_dataset
from tests.engines.conftest import SHARDS
from tests.pipelines.corpora import pairsmith

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
        build_elsewhere(job, [], ["--runner=BundleBasedDirectRunner"], None)
