"""The README's commands and code run as they stand, and print what it says they print."""

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipelines.corpora import documents, write_jsonl, write_parquet

BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
ELSEWHERE = ["make demo", "make test", "pip install '.[build,train]'"]
"""Lines that want the checkout: one runs all this, another installs, as .ci/wheel-test does."""


@pytest.fixture(scope="module")
def blocks() -> list[tuple[str, str]]:
    """Return (language, code) of every block of the README."""
    text = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    return [(language, code) for language, code in BLOCK.findall(text)]


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory, blocks: list[tuple[str, str]]) -> Path:
    """Return a folder with the files that the README's reader has."""
    folder = tmp_path_factory.mktemp("reader")
    (folder / "corpus").mkdir()
    write_parquet(folder / "corpus" / "a.parquet", documents(40))
    rows = [{"body": row["text"], "ticket": row["doc_id"]} for row in documents(30)]
    write_jsonl(folder / "tickets.jsonl", rows)
    intents = {"text": [f"question {i} on topic {i % 3}" for i in range(60)]}
    intents["label"] = [f"topic {i % 3}" for i in range(60)]
    pq.write_table(pa.table(intents), folder / "intents.parquet")
    alike = {"sentence1": [f"the {i} cats of the mill" for i in range(20)]}
    alike["sentence2"] = [f"the {i} {'cats' if i % 2 else 'ships'} of a mill" for i in range(20)]
    alike["score"] = [float(i % 2) for i in range(20)]
    pq.write_table(pa.table(alike), folder / "dev.parquet")
    for language, code in blocks:
        if language == "python" and code.startswith("# my_recipes.py"):
            (folder / "my_recipes.py").write_text(code)
    return folder


def run(room: Path, *command: str) -> str:
    """Run a command as the reader would, and return what it printed."""
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        command,
        cwd=room,
        env={"PATH": f"{bin_folder}:/usr/bin:/bin", "HF_HUB_OFFLINE": "1", "HOME": str(room)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"{command[-1]}\n{done.stderr}"
    return done.stdout


@pytest.mark.wheel
def test_the_page_works_from_its_first_line_to_its_last(
    room: Path, blocks: list[tuple[str, str]]
) -> None:
    commands: list[str] = []
    pieces: list[str] = []
    for (language, code), (after, printed) in zip(blocks, [*blocks[1:], ("", "")], strict=True):
        if language == "python":
            pieces.append(code)
            told = run(room, sys.executable, "-c", code)
            assert after != "text" or told == printed
        for line in code.splitlines():
            if language == "bash" or (language == "console" and line.startswith("$ ")):
                commands.append(line.removeprefix("$ "))
                if commands[-1] not in ELSEWHERE:
                    smaller = commands[-1].replace("--nproc-per-node 8", "--nproc-per-node 2")
                    run(room, "bash", "-c", smaller)
    assert [command for command in commands if command in ELSEWHERE] == ELSEWHERE
    assert commands[:2] == ELSEWHERE[:2]  # what a reader does first
    assert len(commands) >= len(ELSEWHERE) + 10
    assert sum("SentenceTransformer(" in code for code in pieces) == 1  # what was trained is used
    assert len(pieces) >= 3


@pytest.mark.checkout
def test_every_file_that_is_linked_is_there(checkout: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", (checkout / "README.md").read_text())
    assert len(targets) > 8
    assert [target for target in targets if not (checkout / target).exists()] == []


@pytest.mark.checkout
def test_every_top_level_folder_is_in_the_tree(checkout: Path) -> None:
    text = (checkout / "README.md").read_text()
    listed = set(re.findall(r"(\w+)/ ", text.split("## How data flows")[1].split("\n## ")[0]))
    folders = ("schemas", "augmenters", "pipelines", "training", "commands", "tests")
    assert listed == {*folders, "benchmarks", "examples", "docs"}


@pytest.mark.checkout
def test_the_guide_to_augmenters_names_them_all(checkout: Path) -> None:
    import pairsmith.augmenters as public

    text = (checkout / "docs" / "augmenters.md").read_text()
    for name in public.__all__:
        if hasattr(getattr(public, name), "keeps_meaning") and "Augmenter" not in name:
            assert re.search(rf"[`( ]{name}[`(]", text), name
