"""The code of pages other than the README runs as it stands: a recipe, its build, its readers."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.checkout


def blocks(page: Path, language: str) -> list[str]:
    """Return the code in one language of a page."""
    return [code for found, code in BLOCK.findall(page.read_text()) if found == language]


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
    (recipe,) = blocks(page, "python")
    (folder / "ticket_recipes.py").write_text(recipe)
    (commands,) = blocks(page, "bash")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    for command in commands.splitlines():
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=folder,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    return folder


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


def test_the_readers_of_the_page_read_the_shards(checkout: Path, reader: Path) -> None:
    code = blocks(checkout / "docs" / "dataset.md", "python")
    programs = [program for program in code if "spark.read" not in program]
    assert len(programs) == len(code) - 1 >= 4
    folder = reader / "as-pairs"
    folder.mkdir()
    (folder / "pairs").symlink_to(reader / "ticket-pairs")
    for program in programs:
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{program}\n{done.stderr}"


def test_the_rule_for_other_trainers_keeps_equal_groups_and_texts_apart(checkout: Path) -> None:
    rule = next(
        code for code in blocks(checkout / "docs" / "dataset.md", "python") if "def may_be" in code
    )
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
