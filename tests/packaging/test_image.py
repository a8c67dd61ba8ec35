"""The images for workers, as far as that can be told without a container engine."""

import importlib.metadata
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import uv

pytestmark = pytest.mark.checkout


@pytest.fixture(scope="module")
def stages(checkout: Path) -> dict[str, str]:
    """Return the instructions of every stage of the Dockerfile, by its name."""
    text = (checkout / "docker" / "Dockerfile").read_text("utf-8")
    text = re.sub(r"(?m)^#.*\n", "", text).replace("\\\n", " ")
    found = re.split(r"(?m)^FROM ", text)[1:]
    return {stage.split("\n")[0].split(" AS ")[1]: stage for stage in found}


def test_the_install_script_makes_a_worker_in_an_empty_environment(
    checkout: Path, wheel: Path, run: Callable, tmp_path: Path
) -> None:
    made = run(uv.find_uv_bin(), "venv", "--python", sys.executable, tmp_path / "empty")
    assert made.returncode == 0, made.stderr
    python = tmp_path / "empty" / "bin" / "python"
    path = f"PATH={Path(uv.find_uv_bin()).parent}:/usr/bin:/bin"
    extras = re.search(r"\*\.whl (\S+)", (checkout / "docker/Dockerfile").read_text("utf-8"))[1]
    script = (checkout / "docker" / "install", python, wheel, extras)
    done = run("/usr/bin/env", path, *script, checkout / "constraints.txt", timeout=300)
    assert done.returncode == 0, done.stderr
    beam = importlib.metadata.version("apache-beam")
    assert f"apache-beam=={beam}" in done.stdout
    assert f"pairsmith=={wheel.name.split('-')[1]}" in done.stdout
    assert not [*tmp_path.glob("empty/lib/*/site-packages/torch")]  # the image stays small


def test_the_install_script_fails_where_a_worker_could_not_start(
    checkout: Path, wheel: Path, run: Callable, tmp_path: Path
) -> None:
    run(uv.find_uv_bin(), "venv", "--python", sys.executable, tmp_path / "empty")
    python = tmp_path / "empty" / "bin" / "python"
    path = f"PATH={Path(uv.find_uv_bin()).parent}:/usr/bin:/bin"
    script = (checkout / "docker" / "install", python, wheel, "build")  # without gs:// and s3://
    done = run("/usr/bin/env", path, *script, checkout / "constraints.txt", timeout=300)
    assert done.returncode != 0
    assert "gs://" in done.stderr


def test_bases_are_pinned_and_beam_is_the_one_that_is_tested(
    checkout: Path, stages: dict[str, str]
) -> None:
    text = (checkout / "docker" / "Dockerfile").read_text("utf-8")
    pinned = dict(re.findall(r"(?m)^ARG (\w+)=(\S+)", text))
    constraints = (checkout / "constraints.txt").read_text("utf-8")
    assert f"apache-beam=={pinned['BEAM']}\n" in constraints
    assert f"uv=={pinned['UV']}\n" in constraints
    assert all(re.fullmatch(r"\d+(\.\d+){2,3}", version) for version in pinned.values())
    bases = {stage.split(" ")[0] for stage in stages.values()} - set(stages)
    assert all(re.search(r":.*\$\{\w+\}", base) for base in bases)
    beam_python = re.search(r"beam_python(\d+\.\d+)_sdk", text)[1]
    assert pinned["PYTHON"].startswith(f"{beam_python}.")


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_workers_are_not_root_and_are_installed_by_the_script_alone(
    stages: dict[str, str], target: str
) -> None:
    stage = stages[target]
    users = re.findall(r"(?m)^USER (\S+)", stage)
    assert users[-1:] == ["10001"]
    runs = re.findall(r"(?m)^RUN .*", stage)
    assert len(runs) == 1
    assert "/source/docker/install" in runs[0]
    assert stage.startswith("base ")
    assert 'ENTRYPOINT ["/opt/apache/beam/boot"]' in stages["base"]


@pytest.mark.parametrize(("target", "made_of"), [("dataflow", "cpu"), ("dataflow-gpu", "gpu")])
def test_dataflow_s_workers_are_the_same_but_for_root(
    stages: dict[str, str], target: str, made_of: str
) -> None:
    assert stages[target].split("\n", 1)[0] == f"{made_of} AS {target}"
    assert stages[target].split("\n", 1)[1].split() == ["USER", "root"]


def test_recipes_find_what_their_parts_need_in_the_images(
    checkout: Path, stages: dict[str, str]
) -> None:
    installed = {
        target: set(re.split(r"[\s,]+", stages[target].split(".whl ")[1]))
        for target in ("cpu", "gpu")
    }
    needs = {
        extra
        for folder in ("augmenters", "pipelines")
        for file in (checkout / folder).rglob("*.py")
        for extra in re.findall(r'extra="(\w+)"', file.read_text("utf-8"))
    }
    assert needs >= {"llm", "masks", "translate", "train", "wordnet"}
    # Of [train] the gate `Similarity` needs one package.
    assert needs - {"train", "nlpaug"} <= installed["gpu"]
    assert {"sentence-transformers", '"nvidia-cublas-cu12==${CUBLAS}"'} <= installed["gpu"]
    assert needs - {"train", "nlpaug", "masks", "translate"} <= installed["cpu"]
