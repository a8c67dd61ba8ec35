"""Tasks of mteb: a made one, scored by the package itself, and what can go wrong on the way."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pairsmith.commands.main import main
from tests.training.pair_folders import sentences

# In a process of its own: the package warns of much on import, which is not ours to mend.
_SCORE = """
import contextlib, io, json, sys
import datasets, mteb
import pyarrow.parquet as pq
from mteb.abstasks import AbsTaskSTS
from mteb.abstasks.task_metadata import TaskMetadata
from pairsmith.commands.main import main

model, file = sys.argv[1:]

class MadeSTS(AbsTaskSTS):
    metadata = TaskMetadata(
        name="MadeSTS", dataset={"path": "made/sts", "revision": "1"}, description="Made.",
        reference=None, type="STS", category="t2t", modalities=["text"], eval_splits=["test"],
        eval_langs=["eng-Latn"], main_score="cosine_spearman", date=None, domains=None,
        task_subtypes=None, license=None, annotations_creators=None, dialect=None,
        sample_creation=None, bibtex_citation="",
    )
    min_score, max_score = 0, 8

    def load_data(self, **kwargs):
        self.dataset = {"test": datasets.Dataset(pq.read_table(file))}
        self.data_loaded = True

known = mteb.get_task
mteb.get_task = lambda name, **more: MadeSTS() if name == "MadeSTS" else known(name, **more)

def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(["evaluate", model, *arguments])
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}

print(json.dumps({
    "made": run("--sts", file, "--task", "mteb:MadeSTS", "--json"),
    "unknown": run("--task", "mteb:NoSuchTask"),
    "other": run("--task", "glue:MRPC"),
    "unreachable": run("--task", "mteb:STSBenchmark"),
}))
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, dataset: Path, tokenizer_file: Path) -> Path:
    output = tmp_path_factory.mktemp("mteb") / "model"
    flags = ["--model", f"static:{tokenizer_file}:16", "--steps", "3", "--batch-size", "64"]
    quiet = ["--no-tensorboard", "--no-curves", "--threads", "1"]
    assert main(["train", str(dataset), "--output", str(output), *flags, *quiet]) == 0
    return output


def test_a_made_task_scores_as_its_file_does_and_mistakes_are_one_line(
    tmp_path: Path, model: Path
) -> None:
    pytest.importorskip("mteb")
    file = tmp_path / "made.parquet"
    columns: dict[str, Any] = {"sentence1": sentences(50, 1), "sentence2": sentences(50, 2)}
    columns["score"] = np.random.default_rng(0).uniform(0, 8, 50)
    pq.write_table(pa.table(columns), file)
    done = subprocess.run(
        [sys.executable, "-c", _SCORE, str(model), str(file)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hub")},
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])

    scores = json.loads(told["made"]["out"])
    assert set(scores) == {"sts/made/spearman", "mteb/MadeSTS/cosine_spearman"}
    mine, theirs = scores.values()
    assert theirs == pytest.approx(mine, abs=1e-4)

    for name, message in (
        ("unknown", "--task mteb:NoSuchTask: 'NoSuchTask' not found"),
        ("other", "--task glue:MRPC is of no known kind; give mteb:NAME"),
        ("unreachable", "--task mteb:STSBenchmark: its data cannot be fetched"),
    ):
        assert told[name]["code"] == 2
        (line,) = told[name]["err"].strip().splitlines()
        assert message in line


def test_a_missing_package_is_named(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    assert main(["evaluate", str(model), "--task", "mteb:STS22"]) == 2
    assert "pip install '.[mteb]'" in capsys.readouterr().err
