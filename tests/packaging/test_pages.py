"""The code of pages other than the README runs as it stands: a recipe, its build, its readers."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BLOCK = re.compile(r"(<!-- not run: needs [^\n]+ -->\n)?```(\w+)\n(.*?)```", re.DOTALL)
"""A block of code, and before it what it needs that no test has."""

AFTERWARDS = {
    "dataset": """
for batch in apart(pairs, batch_size=32, drop_last=False):
    groups = grouped[batch]["group_id"]
    assert len(set(groups)) == len(groups)
assert len(pairs) == len(grouped) > 1000
"""
}
"""What must hold when the programs of pages have run."""

pytestmark = pytest.mark.checkout


def blocks(page: Path, language: str) -> list[str]:
    """Return the code in one language of a page, but what needs more than a test has."""
    found = BLOCK.findall(page.read_text())
    return [code for needs, name, code in found if name == language and not needs]


def tickets(folder: Path) -> None:
    """Write support tickets as the page of recipes describes them."""
    folder.mkdir()
    rows = []
    for number in range(60):
        body = "\n".join(
            f"Printer {number} on floor {line} does\nnot print the label {line + number} I sent."
            for line in range(12)
        )
        rows.append({"ticket": number, "body": body, "language": "en", "queue": "printing"})
    with gzip.open(folder / "a.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(row) + "\n" for row in rows)


@pytest.fixture(scope="module")
def reader(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder in which the page of recipes was followed to its end."""
    folder = tmp_path_factory.mktemp("reader")
    tickets(folder / "tickets")
    page = checkout / "docs" / "recipes.md"
    recipe, _ = blocks(page, "python")
    (folder / "ticket_recipes.py").write_text(recipe)
    (commands,) = blocks(page, "bash")
    follow(folder, *commands.splitlines())
    return folder


def follow(folder: Path, *commands: str) -> None:
    """Run commands of a page in a folder, one after another."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for command in commands:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=os.environ | {"PATH": path, "HF_HOME": str(folder / "hub")},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stderr}"


def test_the_recipe_of_the_page_makes_all_its_kinds(reader: Path) -> None:
    counts = json.loads((reader / "ticket-pairs" / "manifest.json").read_text())["counts"]
    assert set(counts["kinds"]) == {"context", "spans", "noise"}
    assert counts["sources"]["written"] == 60


def test_the_query_of_the_page_counts_what_was_dropped(checkout: Path, reader: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="needs duckdb: pip install duckdb")
    (query,) = blocks(checkout / "docs" / "recipes.md", "sql")
    found = duckdb.sql(query.replace("ticket-pairs", str(reader / "ticket-pairs"))).fetchall()
    reasons = json.loads((reader / "ticket-pairs" / "manifest.json").read_text())["counts"]
    told = {f"{stage}: {reason}": rows for stage, reason, rows, *_ in found}
    assert told == reasons["reasons"]["dropped"]


def test_the_python_of_every_page_runs(checkout: Path, reader: Path) -> None:
    folder = reader / "follows"
    shutil.copytree(reader / "ticket-pairs", folder / "pairs")
    shutil.copytree(reader / "tickets", folder / "tickets")
    shutil.copy(reader / "ticket_recipes.py", folder)
    short = "--vocabulary 500 --max-length 32 --steps 2"
    follow(
        folder,
        f"pairsmith train pairs --output model --model bert::2x128 {short}",
        "pairsmith export model --onnx model.onnx",
    )
    ran = 0
    for page in sorted((checkout / "docs").glob("*.md")):
        if programs := blocks(page, "python"):
            program = [*programs, AFTERWARDS.get(page.stem, "")]
            (folder / f"{page.stem}_page.py").write_text("\n".join(program))
            follow(folder, f"python {page.stem}_page.py")
            ran += 1
    assert ran >= 8
    sources = [page.read_text() for page in (checkout / "docs").glob("*.md")]
    marked = [needs for text in sources for needs, name, _ in BLOCK.findall(text) if needs]
    assert sum(text.count("not run:") for text in sources) == len(marked)  # each before its block


def test_the_rule_for_other_trainers_keeps_equal_groups_and_texts_apart(checkout: Path) -> None:
    code = blocks(checkout / "docs" / "dataset.md", "python")
    rule = next(block for block in code if "def may_be" in block)
    names: dict[str, object] = {}
    exec(compile(rule, "dataset.md", "exec"), names)
    # Rows 0 and 1 share a group; 2's anchor is 3's positive; 4 is alone.
    group, anchor, positive = (
        np.array(column, np.uint64)
        for column in ([1, 1, 2, 3, 4], [10, 11, 12, 13, 14], [20, 21, 22, 12, 24])
    )
    allowed = names["may_be_negatives"](group, anchor, positive)  # type: ignore[operator]
    apart = {(0, 1), (1, 0), (2, 3), (3, 2), *((row, row) for row in range(5))}
    expected = [[(row, other) not in apart for other in range(5)] for row in range(5)]
    assert allowed.tolist() == expected
