"""What Dataflow would be asked for: the whole job description, made without a network."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pairsmith.augmenters import BackTranslate
from pairsmith.pipelines.build import BuildConfig, build_at
from pairsmith.pipelines.engines.cloud import engine_flags, model_hints
from pairsmith.pipelines.engines.elsewhere import wire_build
from pairsmith.pipelines.job import Job
from pairsmith.pipelines.reading.splits import Split
from pairsmith.pipelines.recipe import Pair, Recipe, View
from pairsmith.pipelines.recipe.shipped import find_recipe
from pairsmith.schemas import UserError

WHY = "needs other packages: .ci/cloud-test installs them beside the usual ones and runs this"
pytest.importorskip("google.cloud.dataflow", reason=WHY)

IMAGE = "europe-docker.pkg.dev/some-project/images/pairsmith:0.1.0"
T4 = "type:nvidia-tesla-t4;count:1;install-nvidia-driver"
FLAGS = (
    *("--runner=DataflowRunner", "--project=some-project", "--region=europe-west4"),
    *("--temp_location=gs://some-bucket/temp", "--staging_location=gs://some-bucket/staging"),
    *("--job_name=pairs", "--dry_run=True"),
)
IN_IMAGE = (f"--sdk_container_image={IMAGE}", "--sdk_location=container")
SPLITS = (Split("gs://some-bucket/corpus/a.parquet", "parquet", 0, 1, 1000),)
RECIPE = replace(find_recipe("context"), shards=3)
TRANSLATES: Recipe = replace(
    RECIPE, pairs=(Pair("translation", View(), View(BackTranslate(to="fr"))),)
)


@pytest.fixture
def describe(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function from flags to the job description and the environments of its steps."""
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    from apache_beam.runners.dataflow.internal import apiclient

    client = apiclient.DataflowApplicationClient
    monkeypatch.setattr(apiclient, "get_service_credentials", lambda options: None)
    for name in ("stage_file", "stage_file_with_retry"):
        monkeypatch.setattr(client, name, lambda self, *arguments, **options: None)

    def made(recipe: Recipe, *flags: str) -> tuple[dict[str, Any], dict[str, Any]]:
        hints = model_hints(flags, recipe)
        job = Job(recipe, "gs://some-bucket/out", "gs://some-bucket/out/.work", 4096, hints=hints)
        pipeline = beam.Pipeline(options=PipelineOptions([*engine_flags([*FLAGS, *flags])]))
        wire_build(pipeline, SPLITS, job)
        done = pipeline.run().job
        client(done.options).create_job_description(done)
        components = done.proto_pipeline.components
        environments = {
            step.unique_name: components.environments[step.environment_id]
            for step in components.transforms.values()
            if step.environment_id
        }
        return json.loads(done.json()), environments

    return made


def pool(description: dict[str, Any]) -> dict[str, Any]:
    (only,) = description["environment"]["workerPools"]
    return only


def test_the_job_asks_for_the_image_the_machines_and_the_scaling_that_flags_name(
    describe: Any,
) -> None:
    description, _ = describe(
        RECIPE,
        *IN_IMAGE,
        *("--machine_type=n2-standard-8", "--disk_size_gb=100", "--num_workers=2"),
        *("--max_num_workers=40", "--autoscaling_algorithm=THROUGHPUT_BASED"),
    )
    workers = pool(description)
    assert description["type"] == "JOB_TYPE_BATCH"
    assert "use_runner_v2" in description["environment"]["experiments"]
    assert workers["workerHarnessContainerImage"] == IMAGE
    assert [image["containerImage"] for image in workers["sdkHarnessContainerImages"]] == [IMAGE]
    assert workers["machineType"] == "n2-standard-8"
    assert (workers["numWorkers"], workers["diskSizeGb"]) == (2, 100)
    assert workers["autoscalingSettings"] == {
        "algorithm": "AUTOSCALING_ALGORITHM_BASIC",
        "maxNumWorkers": 40,
    }
    assert not workers.get("packages")  # all is in the image, and no main session is pickled


def test_without_an_image_the_wheel_is_staged_and_nothing_else(
    describe: Any, tmp_path: Path
) -> None:
    wheel = tmp_path / "pairsmith-0.1.0-py3-none-any.whl"
    wheel.write_bytes(b"")
    description, environments = describe(RECIPE, f"--extra_package={wheel}")
    names = {package["name"] for package in pool(description)["packages"]}
    assert wheel.name in names
    assert "pickled_main_session" not in names
    for environment in environments.values():
        assert not any(b"main_session" in d.role_payload for d in environment.dependencies)


def test_a_gpu_is_asked_for_where_models_run_and_nowhere_else(describe: Any) -> None:
    flags = (f"--model_accelerator={T4}", "--model_min_ram=16GB")
    _, environments = describe(TRANSLATES, *IN_IMAGE, *flags)
    hinted = {name for name, env in environments.items() if env.resource_hints}
    fill = {name for name in environments if "FillShards" in name}
    assert fill
    assert hinted == fill
    (hints,) = {tuple(sorted(environments[name].resource_hints.items())) for name in fill}
    assert hints == (
        ("beam:resources:accelerator:v1", T4.encode()),
        ("beam:resources:min_ram_bytes:v1", b"16000000000"),
    )


def test_no_step_is_hinted_unless_asked(describe: Any) -> None:
    _, environments = describe(TRANSLATES, *IN_IMAGE)
    assert not any(environment.resource_hints for environment in environments.values())


@pytest.mark.parametrize(
    ("output", "flags", "message"),
    [
        ("gs://b/out", (), "need pairsmith: name an image"),
        ("out", IN_IMAGE, "out is a folder"),
        ("gs://b/out", (*IN_IMAGE, "--save_main_session"), "leave out --save_main_session"),
        ("gs://b/out", (*IN_IMAGE, f"--model_accelerator={T4}"), "asks no model"),
    ],
)
def test_what_dataflow_could_not_do_is_refused_before_anything_is_looked_for(
    output: str, flags: tuple[str, ...], message: str
) -> None:
    config = BuildConfig(beam_flags=(*FLAGS, *flags))
    with pytest.raises(UserError, match=message):
        build_at(RECIPE, "context", ["gs://b/c/*.parquet"], output, config)


def test_files_of_this_machine_are_refused(tmp_path: Path) -> None:
    config = BuildConfig(beam_flags=(*FLAGS, *IN_IMAGE))
    with pytest.raises(UserError, match="is on this machine"):
        build_at(RECIPE, "c", [f"{tmp_path}/*"], "gs://b/out", config)
