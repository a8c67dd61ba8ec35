"""What a build asks of an engine, and what it bears: from its graph, and by an adversary."""

import dataclasses
import hashlib
import signal
import subprocess
import sys
import time
from pathlib import Path

import apache_beam as beam
import orjson
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2 as api
from apache_beam.runners.portability.portable_runner import PortableRunner

from pairsmith.pipelines.accounts import add_up
from pairsmith.pipelines.engines.transforms import BuildDataset
from pairsmith.pipelines.job import Job, StepResult
from pairsmith.pipelines.reading.inputs import plan_inputs
from pairsmith.pipelines.recipe.shipped import quickstart
from pairsmith.pipelines.storage.claim import claimed
from pairsmith.schemas import Manifest
from tests.engines.adversary import Adversary
from tests.engines.conftest import SHARDS


def wire(pipeline: beam.Pipeline, corpus: Path, output: Path) -> None:
    recipe = dataclasses.replace(quickstart(), shards=SHARDS)
    splits = [s for file in plan_inputs([str(corpus)], recipe.source) for s in file.splits]
    assert len(splits) > 5
    spread = pipeline | beam.Create(splits) | beam.Reshuffle()
    _ = spread | BuildDataset(Job(recipe, str(output), str(output / ".work"), batch_rows=7))


@pytest.fixture(scope="module")
def graph(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> api.Pipeline:
    """Return the pipeline as a job server is given it."""
    options = PipelineOptions(["--environment_type=LOOPBACK"])
    pipeline = beam.Pipeline(runner=PortableRunner(), options=options)
    wire(pipeline, corpus, tmp_path_factory.mktemp("graph"))
    return PortableRunner.get_proto_pipeline(pipeline, options)


def kind(graph: api.Pipeline, coder: str) -> str:
    """Return a coder's name with those of its parts, such as kv<varint,bytes>."""
    found = graph.components.coders[coder]
    name = found.spec.urn.removeprefix("beam:coder:").removesuffix(":v1")
    parts = ",".join(kind(graph, part) for part in found.component_coder_ids)
    return f"{name}<{parts}>" if parts else name


def steps(graph: api.Pipeline) -> dict[str, api.ParDoPayload]:
    return {
        step.unique_name: api.ParDoPayload.FromString(step.spec.payload)
        for step in graph.components.transforms.values()
        if step.spec.urn == "beam:transform:pardo:v1"
    }


def test_nothing_but_plain_steps_and_shuffles_is_asked_of_an_engine(graph: api.Pipeline) -> None:
    used = {
        step.spec.urn.removeprefix("beam:transform:")
        for step in graph.components.transforms.values()
        if not step.subtransforms
    }
    # No read: Spark would read all of a splittable one in one task.
    assert used == {"impulse:v1", "pardo:v1", "group_by_key:v1", "flatten:v1"}
    assert not graph.requirements
    for name, step in steps(graph).items():
        assert not step.restriction_coder_id, name
        assert not step.state_specs, name
        assert not step.timer_family_specs, name


def test_splits_are_spread_before_they_are_read(graph: api.Pipeline) -> None:
    steps = graph.components.transforms.values()
    (spread,) = (step for step in steps if step.unique_name == "Reshuffle")
    assert spread.spec.urn == "beam:transform:reshuffle:v1"
    readers = {
        step.unique_name for step in steps if set(spread.outputs.values()) & {*step.inputs.values()}
    }
    assert {"BuildDataset/FindCopies/ReadKeys", "BuildDataset/Cut/Read/ParDo(_Read)"} <= readers


def test_whatever_is_shuffled_has_a_number_for_a_key_and_bytes_for_a_value(
    graph: api.Pipeline,
) -> None:
    shuffled = {}
    for step in graph.components.transforms.values():
        if step.spec.urn == "beam:transform:group_by_key:v1":
            (given,) = step.inputs.values()
            coder = graph.components.pcollections[given].coder_id
            shuffled[step.unique_name] = kind(graph, coder)
    ours = {name: coder for name, coder in shuffled.items() if "Reshuffle" not in name}
    assert len(ours) == 5
    assert all(coder.startswith("kv<varint,") for coder in shuffled.values()), shuffled
    assert all(coder.endswith(",bytes>") or "bytes>>" in coder for coder in ours.values()), ours


def test_the_only_side_input_is_the_numbers_of_input_files(graph: api.Pipeline) -> None:
    sides = {name: [*step.side_inputs] for name, step in steps(graph).items() if step.side_inputs}
    assert sides == {"BuildDataset/Cut/Read/ParDo(_Read)": ["python_side_input0"]}
    (reader,) = (
        step
        for step in graph.components.transforms.values()
        if "python_side_input0" in step.inputs and not step.subtransforms
    )
    numbers = graph.components.pcollections[reader.inputs["python_side_input0"]]
    assert kind(graph, numbers.coder_id) == "varint"


@pytest.mark.parametrize("seed", [1, 2])
def test_bundles_that_die_and_run_twice_at_once_give_the_same_bytes_and_books(
    tmp_path: Path, corpus: Path, expected: Manifest, seed: int
) -> None:
    pipeline = beam.Pipeline(runner=PortableRunner())
    wire(pipeline, corpus, tmp_path)
    adversary = Adversary(seed)
    adversary.run(pipeline)
    assert adversary.died > 20
    assert adversary.twice > 20
    check(tmp_path, expected)


def test_two_builds_side_by_side_and_one_that_is_killed_give_the_same_bytes(
    tmp_path: Path, corpus: Path, expected: Manifest
) -> None:
    code = "import sys; from tests.engines.test_any_engine import run_here; run_here(*sys.argv[1:])"
    command = [sys.executable, "-c", code, corpus, tmp_path]
    processes = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    try:
        limit = time.monotonic() + 120
        while not list(tmp_path.glob("shards/*.parquet")):
            assert time.monotonic() < limit
            time.sleep(0.005)
        processes[0].kill()
        assert processes[0].wait(120) == -signal.SIGKILL, "it had ended before it was killed"
        assert [process.wait(120) for process in processes[1:]] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    check(tmp_path, expected)


def test_what_killed_workers_were_writing_is_gone_when_the_build_is_done(tmp_path: Path) -> None:
    with claimed(tmp_path / "out", ()) as claim:
        claim.begin()
        for folder in ("shards", "failed"):
            (claim.staging / folder).mkdir()
            (claim.staging / folder / ".00003.parquet.0123456789abcdef").touch()
        (claim.staging / "shards" / "00003.parquet").touch()
        claim.replace()
        claim.finish(b"{}")
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"manifest.json", "00003.parquet"}


def run_here(corpus: str, output: str) -> None:
    with beam.Pipeline(runner="BundleBasedDirectRunner") as pipeline:
        wire(pipeline, Path(corpus), Path(output))


def check(output: Path, expected: Manifest) -> None:
    """Compare what the steps of a build have written with the dataset that is expected."""
    written = orjson.loads((output / ".work" / "results.json").read_bytes())
    results = [StepResult.from_data(data) for data in written]
    rows_read = sum(result.rows_read for result in results)
    shards = [result.shard for result in results if result.shard]
    assert add_up(rows_read, shards).as_data() == expected.counts
    files = {file for shard in shards for file in shard.files.values()}
    assert files == {*expected.shards, *expected.dropped, *expected.failed}
    for file in files:
        data = (output / file.path).read_bytes()
        assert hashlib.sha256(data).hexdigest() == file.sha256
