"""One copy of a model's weights a machine, however many processes work on a build."""

import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path

import pyarrow as pa
import pytest

from pairsmith.augmenters import Augmenter, Cached, WordDropout
from pairsmith.augmenters.rewriting import Rewrite
from pairsmith.pipelines.local import shared
from pairsmith.pipelines.recipe import Pair, Recipe, Similarity, View
from pairsmith.schemas import UserError
from tests.augmenters.fakes import Calls, Model
from tests.augmenters.plain_tokens import keys
from tests.augmenters.rewriting.stand_in import echo, problem, serving
from tests.pipelines import fake_encoder
from tests.pipelines.test_model_steps import recipe_of, run

TWO_PROCESSES = ("--direct_num_workers=2", "--direct_running_mode=multi_processing")


class Loaded(Model):
    """Writes down which process loads it, and which processes there are that ask."""

    def setup(self):  # type: ignore[no-untyped-def]
        with Path(f"{self.calls.log}.loads").open("a") as stream:
            stream.write(f"{os.getpid()}\n")


def test_worker_processes_load_the_encoder_of_a_gate_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    gate = Similarity(fake_encoder.install(tmp_path / "library", monkeypatch))
    own = Pair("own", View(), View(WordDropout(0.3)), gates=(gate,))
    recipe = Recipe((Pair("plain", View(), View(WordDropout())), own), gates=(gate,), shards=8)
    dataset = run(tmp_path, "out", recipe, beam_flags=TWO_PROCESSES)
    assert dataset.rows > 100
    assert len((tmp_path / "library/loads").read_text().split()) == 1


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

    monkeypatch.setattr("pairsmith.pipelines.engines.elsewhere.build_elsewhere", send)
    monkeypatch.setattr(shared, "_folder", lambda: tmp_path)
    model = Loaded(Calls(log=str(tmp_path / "asked")))
    with pytest.raises(RuntimeError, match="sent now"):
        run(tmp_path, "out", recipe_of(model), beam_flags=("--runner=SparkRunner",))
    assert not Path(f"{model.calls.log}.loads").exists()


HOLD = """
import pickle, sys, time
from pathlib import Path
from pairsmith.pipelines.local import shared
shared._folder = lambda: Path(sys.argv[1])
print(shared._host(pickle.loads(bytes.fromhex(sys.argv[2]))).process(), flush=True)
time.sleep(60)
"""


@contextmanager
def another_process(held: shared.Shared, folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """Have another process hold a model, and end it at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    command = [sys.executable, "-c", HOLD, str(folder), pickle.dumps(held).hex()]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as first:
        try:
            assert first.stdout is not None
            assert int(first.stdout.readline()) == first.pid
            yield first
        finally:
            first.kill()
            shared._HOSTS.clear()


def test_the_next_process_holds_the_model_when_the_first_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared, "_folder", lambda: tmp_path)
    held = shared.Shared(Model(), "build")
    with another_process(held, tmp_path) as first:
        held.setup()
        assert shared._host(held).process() == first.pid
        assert held(pa.array(["a", None]), keys(2)).to_pylist() == ["a of 2", None]
        first.kill()
        first.wait()
        time.sleep(0.1)
        assert held(pa.array(["b"]), keys(1)).to_pylist() == ["b of 1"]
        assert shared._host(held).process() == os.getpid()


def test_what_was_paid_for_is_kept_where_another_process_holds_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    monkeypatch.setattr(shared, "_folder", lambda: folder)
    texts = pa.array([f"This is text number {number}." for number in range(20)])
    with serving(lambda request, n: echo(request, n) if n != 6 else problem(500, "gone")) as server:
        settings = {"concurrency": 1, "retries": 0, "api_key_env": ""}
        rewrite = Rewrite(model="m", endpoint=server.url, **settings)  # type: ignore[arg-type]
        held = shared.Shared(rewrite, "build")
        with another_process(held, folder):
            cached = Cached(held, str(tmp_path / "cache"))
            with pytest.raises(UserError, match="6 of 20 texts were done"):
                cached(texts, keys(20))
            assert cached(texts, keys(20)).null_count == 0
        assert len(server.requests) == 6 + 1 + 14


def one_step(step: Augmenter) -> Recipe:
    return Recipe((Pair("k", View(), View(step)),))


@pytest.mark.parametrize("flags", [(), TWO_PROCESSES], ids=["in process", "2 processes"])
def test_settings_that_cannot_be_hashed_are_settings_all_the_same(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    with serving() as server:
        rewrite = Rewrite(
            model="m", endpoint=server.url, api_key_env="", parameters=(("stop", ["\n"]),)
        )
        dataset = run(tmp_path, "out", one_step(rewrite), count=4, beam_flags=flags)
        assert dataset.rows == len(server.requests) > 20
        assert all(request["stop"] == ["\n"] for request in server.requests)


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
