"""Compiled code that is kept on disk is made anew when any file that it is made of changes."""

import ast
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from pairsmith.augmenters.compiled import sources

PACKAGE = "pairsmith.augmenters"


def test_all_that_compiled_code_is_made_of_is_known() -> None:
    compiled = {
        path for path in _folder(PACKAGE).rglob("*.py") if f"{PACKAGE}.compiled" in _from(path)
    }
    assert len(compiled) > 10
    modules = {module for path in compiled for module in _from(path)}  # parts and constants
    named = {str(find_spec(m).origin) for m in modules if m.startswith(f"{PACKAGE}.")}  # type: ignore[union-attr]
    assert compiled | set(map(Path, named)) <= set(sources())


def test_a_change_in_a_file_that_is_inlined_elsewhere_is_seen(tmp_path: Path) -> None:
    for name in ("augmenters", "schemas"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(_folder(f"pairsmith.{name}"), tmp_path / "pairsmith" / name, ignore=ignored)
    inner, outer = (tmp_path / "pairsmith/augmenters" / f"{n}_kernels.py" for n in ("in", "out"))
    head = f"from {PACKAGE}.compiled import njit\n"
    outer.write_text(
        f"{head}from {PACKAGE}.in_kernels import one\n\n\n@njit\ndef two():\n    return 2 * one()\n"
    )
    printed = []
    for number in (1, 1, 20):
        inner.write_text(f"{head}\n\n@njit\ndef one():\n    return {number}\n")
        ask = f"from {PACKAGE}.out_kernels import two; print(two(), *two.stats.cache_hits.values())"
        done = subprocess.run(
            [sys.executable, "-c", ask],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        printed.append(done.stdout.split())
    assert printed == [["2"], ["2", "1"], ["40"]]  # the second was loaded, not compiled


def _folder(package: str) -> Path:
    return Path(str(find_spec(package).origin)).parent  # type: ignore[union-attr]


def _from(path: Path) -> set[str]:
    tree = ast.walk(ast.parse(path.read_text()))
    return {str(node.module) for node in tree if isinstance(node, ast.ImportFrom)}
