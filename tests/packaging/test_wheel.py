"""What is in the wheel, and that either half works without the other's dependencies."""

import zipfile
from email import message_from_bytes

import pytest

pytestmark = pytest.mark.checkout
FOLDERS = ("schemas", "augmenters", "pipelines", "training", "commands")
IMPORT_ALL = """
import importlib, pkgutil, sys
for folder in {folders}:
    package = importlib.import_module(f"pairsmith.{{folder}}")
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
found = [name for name in {absent} if name in sys.modules or importlib.util.find_spec(name)]
sys.exit(f"is there: {{found}}" if found else 0)
"""


def test_the_wheel_holds_the_five_folders_under_one_name_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {"/".join(name.split("/")[:2]) for name in names if name.startswith("pairsmith/")}
    assert tops == {f"pairsmith/{folder}" for folder in FOLDERS}
    rest = {name.split("/")[0] for name in names} - {"pairsmith"}
    assert len(rest) == 1
    assert next(iter(rest)).endswith(".dist-info")
    assert {f"pairsmith/{folder}/py.typed" for folder in FOLDERS} <= set(names)


def test_every_file_of_the_folders_is_in_the_wheel(wheel, checkout):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = [
        path.relative_to(checkout).as_posix()
        for folder in FOLDERS
        for path in (checkout / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {file for file in files if f"pairsmith/{file}" not in names} == set()


def test_the_wheel_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    name = next(n for n in archive.namelist() if n.endswith("/METADATA"))
    metadata = message_from_bytes(archive.read(name))
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    extras = set(metadata.get_all("Provides-Extra"))
    assert {"all", "build", "train", "llm", "masks", "nlpaug", "translate", "wordnet"} <= extras
    assert {"aws", "gcp"} <= extras
    assert any(n.endswith("/licenses/LICENSE") for n in archive.namelist())


def test_without_extras_a_dataset_can_be_checked_and_the_missing_extra_is_named(
    run, environment, golden, tmp_path
):
    bin = environment("")
    verified = run(bin / "pairsmith", "verify", golden, cwd=tmp_path)
    assert verified.returncode == 0, verified.stderr
    build = run(
        bin / "pairsmith", "build", "quickstart", "--input", "x", "--output", "y", cwd=tmp_path
    )
    assert build.returncode == 2
    assert build.stderr.count("\n") == 1
    assert "pip install '.[build]'" in build.stderr
    train = run(bin / "pairsmith", "train", golden, "--output", "y", cwd=tmp_path)
    assert train.returncode == 2
    assert train.stderr.count("\n") == 1
    assert "pip install '.[train]'" in train.stderr


def test_the_trainer_installs_without_beam_and_the_builders_libraries(run, environment, tmp_path):
    bin = environment("train")
    absent = ["apache_beam", "numba", "sentencex", "rjieba"]
    script = IMPORT_ALL.format(folders=["schemas", "training"], absent=absent)
    done = run(bin / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_builder_installs_and_builds_without_torch(run, environment, tmp_path):
    bin = environment("build")
    absent = ["torch", "transformers", "sentence_transformers", "scipy"]
    script = IMPORT_ALL.format(folders=["schemas", "augmenters", "pipelines"], absent=absent)
    done = run(bin / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    text = "\n".join(f"This is sentence number {n} of a very small document." for n in range(20))
    (tmp_path / "document.txt").write_text(text)
    built = run(
        *(bin / "pairsmith", "build", "quickstart"),
        *("--input", "document.txt", "--output", "pairs"),
        cwd=tmp_path,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "pairs" / "manifest.json").is_file()
