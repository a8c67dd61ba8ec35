"""The Flex template: its metadata is what the command's options make it, and its flags arrive."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import tyro

from pairsmith.commands.build import Options

WHY = "needs other packages: .ci/cloud-test installs them beside the usual ones and runs this"
jsonschema = pytest.importorskip("jsonschema", reason=WHY)
pytest.importorskip("google.cloud.dataflow_v1beta3", reason=WHY)
pytestmark = pytest.mark.checkout
LAUNCHED = [  # as the launcher calls it
    "--runner=DataflowRunner",
    "--experiments=one",
    "--recipe=context",
    "--input=gs://b/a/*.parquet gs://b/c.jsonl",
    "--output=gs://b/out",
    "--max_failed=0.02",
    "--warn_idle=true",
    "--cache=",
    "--sdk_container_image=some/image:1",
    "--experiments=two",
    "--template_location=gs://b/job_object",
]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"dataflow_{path.stem}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(checkout: Path) -> Path:
    return checkout / "examples" / "dataflow"


@pytest.fixture(scope="module")
def metadata(folder: Path) -> dict:
    return json.loads((folder / "metadata.json").read_text("utf-8"))


def test_the_file_is_what_the_options_of_today_make(folder: Path) -> None:
    made = load(folder / "metadata.py").text()
    told = "python examples/dataflow/metadata.py writes it anew"
    assert (folder / "metadata.json").read_text("utf-8") == made, told


def test_it_is_metadata_as_dataflow_has_it(metadata: dict) -> None:
    schema = json.loads(Path(__file__).with_name("flex_template.schema.json").read_text("utf-8"))
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.validate(metadata, schema, format_checker=checker)
    from google.cloud.dataflow_v1beta3.types import TemplateMetadata

    parsed = TemplateMetadata.from_json(json.dumps(metadata), ignore_unknown_fields=False)
    assert [p.name for p in parsed.parameters] == [p["name"] for p in metadata["parameters"]]


def test_defaults_and_what_is_launched_match_the_regexes(metadata: dict) -> None:
    launched = dict(flag.removeprefix("--").split("=", 1) for flag in LAUNCHED)
    for parameter in metadata["parameters"]:
        for value in (parameter.get("defaultValue"), launched.get(parameter["name"])):
            for regex in parameter.get("regexes", ()):
                assert value is None or re.fullmatch(regex, value), (parameter, value)


def test_every_parameter_reaches_the_command_or_beam(folder: Path, metadata: dict) -> None:
    build, *arguments = load(folder / "main.py").arguments(LAUNCHED)
    options, beam = tyro.cli(Options, args=arguments, return_unknown_args=True)
    assert build == "build"
    assert (options.recipe, options.output) == ("context", "gs://b/out")
    assert options.input == ("gs://b/a/*.parquet", "gs://b/c.jsonl")
    assert (options.max_failed, options.warn_idle, options.cache) == (0.02, True, None)
    assert beam == [
        *("--runner=DataflowRunner", "--experiments=one", "--sdk_container_image=some/image:1"),
        *("--experiments=two", "--template_location=gs://b/job_object"),
    ]
    known = set(vars(options))
    ours = {p["name"] for p in metadata["parameters"]} & known
    handled = {"recipe", "input", "output", "warn_idle", *load(folder / "main.py").SINGLE}
    assert ours == handled


def test_a_launch_that_cannot_work_ends_in_one_json_line(folder: Path) -> None:
    flags = [flag for flag in LAUNCHED if not flag.startswith("--sdk_container_image")]
    done = subprocess.run(
        [sys.executable, folder / "main.py", *flags],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert json.loads(line)["event"] == "error"
    assert "Dataflow's workers need pairsmith" in line
