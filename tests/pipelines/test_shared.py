"""One copy of a model's weights a machine, however many processes work on a build."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pyarrow as pa
import pytest

from pairsmith.augmenters import Augmenter, WordDropout
from pairsmith.pipelines import shared
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.schemas import UserError
from tests.augmenters.fakes import Calls, Model
from tests.augmenters.plain_tokens import keys
from tests.pipelines.test_model_steps import recipe_of, run

TWO_PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


class Loaded(Model):
    """Writes down which process loads it, and which processes there are that ask."""

    def setup(self):  # type: ignore[no-untyped-def]
        with Path(f"{self.calls.log}.loads").open("a") as stream:
            stream.write(f"{os.getpid()}\n")


@pytest.mark.parametrize("flags", [(), TWO_PROCESSES], ids=["in process", "2 processes"])
def test_worker_processes_load_a_model_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)  # other tests leave files in the usual place
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    model = Loaded(Calls(log=str(tmp_path / "asked")))
    dataset = run(tmp_path, "out", recipe_of(model, shards=8), beam_flags=flags)
    assert dataset.rows > 100
    loads = Path(f"{model.calls.log}.loads").read_text().split()
    assert len(set(loads)) == 1
    assert not list(shared._folder().iterdir())


def test_a_model_is_not_loaded_where_workers_are_on_other_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*_: object) -> None:
        raise RuntimeError("the job would be sent now")

    monkeypatch.setattr("pairsmith.pipelines.elsewhere.build_elsewhere", send)
    monkeypatch.setattr(shared, "_folder", lambda: tmp_path)
    model = Loaded(Calls(log=str(tmp_path / "asked")))
    with pytest.raises(RuntimeError, match="sent now"):
        run(tmp_path, "out", recipe_of(model), beam_flags=("--runner=SparkRunner",))
    assert not Path(f"{model.calls.log}.loads").exists()


def test_the_next_process_holds_the_model_when_the_first_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_folder", lambda: tmp_path)
    code = """
import sys, time
from pathlib import Path
from pairsmith.pipelines import shared
from tests.augmenters.fakes import Model
shared._folder = lambda: Path(sys.argv[1])
print(shared._host(shared.Shared(Model(), "build")).process(), flush=True)
time.sleep(60)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert first.stdout is not None
    assert int(first.stdout.readline()) == first.pid
    held = shared.Shared(Model(), "build")
    held.setup()
    assert shared._host(held).process() == first.pid
    assert held(pa.array(["a", None]), keys(2)).to_pylist() == ["a of 2", None]
    first.send_signal(signal.SIGKILL)
    first.communicate()
    time.sleep(0.1)
    assert held(pa.array(["b"]), keys(1)).to_pylist() == ["b of 1"]
    assert shared._host(held).process() == os.getpid()
    shared._host.cache_clear()


def one_step(step: Augmenter) -> Recipe:
    return Recipe((Pair("k", View(), View(step)),))


def test_only_processes_of_the_build_may_ask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with shared.shared(one_step(Model())) as held:
        (step,) = held.pairs[0].positive.steps
        step.setup()
        (address,) = tmp_path.glob("*/*.address")
        host, port = address.read_text().split(":")
        with pytest.raises(AuthenticationError):
            Client((host, int(port)), authkey=b"mps")  # the key that stands in Beam's source
        Client((host, int(port)), authkey=step.build.encode()).close()


@pytest.mark.parametrize("kind", ["open to others", "link", "file"])
def test_a_folder_that_somebody_else_may_write_to_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    folder = tmp_path / f"pairsmith-{os.getuid()}"
    if kind == "open to others":
        folder.mkdir()
        folder.chmod(0o777)
    elif kind == "link":
        (tmp_path / "elsewhere").mkdir(0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    else:
        folder.touch(0o700)
    with (
        pytest.raises(UserError, match=f"{folder} .* remove it, or set TMPDIR"),
        shared.shared(one_step(Model())),
    ):
        pass
    with shared.shared(one_step(WordDropout())):
        pass


def test_errors_of_the_model_come_through_and_only_models_are_shared() -> None:
    model = Model(Calls(fails_at=0))
    recipe = Recipe((Pair("both", View(WordDropout()), View(model)),))
    with shared.shared(recipe) as held:
        assert isinstance(held.pairs[0].anchor.steps[0], WordDropout)
        step = held.pairs[0].positive.steps[0]
        assert step.name == "model"
        assert held.digest == recipe.digest
        with pytest.raises(RuntimeError, match="out of memory"):
            step(pa.array(["a"]), keys(1))
