"""The linters catch what they are there for: each rule is broken in a copy of the folders."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import pairsmith.schemas

FOLDERS = ("schemas", "augmenters", "pipelines", "training", "commands")
BIN = Path(sys.executable).parent


@pytest.fixture
def copy(checkout, tmp_path):
    """A copy of the five folders, with the links by which the linters find them."""
    shutil.copy(checkout / "pyproject.toml", tmp_path)
    links = tmp_path / "build" / "types" / "pairsmith"
    links.mkdir(parents=True)
    for folder in FOLDERS:
        shutil.copytree(
            checkout / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__")
        )
        (links / folder).symlink_to(tmp_path / folder)
    return tmp_path


def run(copy, *command):
    return subprocess.run(
        [BIN / command[0], *command[1:]],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": "build/types", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


RULES = [
    ("schemas", "import pairsmith.augmenters", "arrows only run down"),
    ("schemas", "import pairsmith.training", "arrows only run down"),
    ("augmenters", "import pairsmith.pipelines", "arrows only run down"),
    ("pipelines", "import pairsmith.commands", "arrows only run down"),
    ("pipelines", "import pairsmith.training", "arrows only run down"),
    ("training", "import pairsmith.pipelines", "arrows only run down"),
    ("training", "import pairsmith.augmenters", "training knows shards, not how they are made"),
    ("training", "import apache_beam", "only pipelines imports Beam"),
    ("augmenters", "from apache_beam import Map", "only pipelines imports Beam"),
    ("commands", "import apache_beam.io", "only pipelines imports Beam"),
    ("pipelines", "import torch.nn", "the builder needs no torch"),
    ("augmenters", "import transformers", "the builder needs no torch"),
    ("schemas", "import numba", "the contract needs pyarrow, numpy and xxhash only"),
]


@pytest.mark.checkout
def test_the_import_linter_names_every_line_that_breaks_a_rule(copy):
    for number, (folder, line, _) in enumerate(RULES):
        broken = f"def use() -> None:\n    {line}\n"
        (copy / folder / f"broken_{number}.py").write_text(broken)
    result = run(copy, "lint-imports", "--no-cache")
    assert result.returncode == 1, result.stdout + result.stderr
    told = result.stdout.partition("Broken contracts")[2]
    for number, (folder, _, contract) in enumerate(RULES):
        assert f"{contract} BROKEN" in result.stdout
        below = re.split(r"^(?=[a-z].*\n-+$)", told, flags=re.M)
        (lines,) = [part for part in below if part.startswith(f"{contract}\n")]
        assert f"pairsmith.{folder}.broken_{number} -> " in lines


@pytest.mark.checkout
def test_the_type_checker_reads_every_folder_and_knows_the_types_of_the_others(copy):
    modules = [f"{folder}.untyped" for folder in FOLDERS]
    for folder in FOLDERS:
        (copy / folder / "untyped.py").write_text("def use(x):\n    return x\n")
    (copy / "training" / "mistyped.py").write_text(
        "from pairsmith.schemas import open_dataset\n\nrows: str = open_dataset('data').rows\n"
    )
    modules.append("training.mistyped")
    result = run(copy, "mypy", *(f"--package=pairsmith.{module}" for module in modules))
    assert result.returncode == 1, result.stdout + result.stderr
    for folder in FOLDERS:
        assert f"pairsmith/{folder}/untyped.py:1: error" in result.stdout
    assert 'expression has type "int", variable has type "str"' in result.stdout


def test_the_contract_imports_the_standard_library_numpy_pyarrow_and_xxhash_only():
    allowed = {*sys.stdlib_module_names, "numpy", "pyarrow", "xxhash", "pairsmith"}
    files = list(Path(pairsmith.schemas.__file__).parent.glob("*.py"))
    assert len(files) > 4
    found = {name.split(".")[0] for file in files for name in imported(file)}
    assert found <= allowed


def imported(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
