"""Whether the options that messages and docstrings advise are there."""

import ast
import re
from pathlib import Path

import pytest

from pairsmith.commands.main import COMMANDS, main

FOLDERS = ("augmenters", "pipelines", "training", "commands")
OTHERS = {"--config", "--help", "--version", "--id", "--logdir", "--nproc-per-node", "--runner"}
"""Read before or beside the parsers; of a worker's command, TensorBoard, torchrun and Beam."""


def offered(capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the options of all commands, as their help lists them."""
    found: set[str] = set()
    for command in COMMANDS:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        for heads in re.findall(r"^[│ ] (-.*?)(?:  |│|$)", capsys.readouterr().out, re.MULTILINE):
            found |= set(re.findall(r"--[a-z][a-z0-9-]*", heads))
    return found


def advised(path: Path) -> set[str]:
    """Return the options that a file's strings speak of."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w-])", node.value))
    return found


@pytest.mark.checkout
def test_every_option_that_is_advised_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")  # a wider help has two columns
    known = offered(capsys) | OTHERS
    assert {"--append-eos", "--no-lora-merge", "--max-failed", "--search"} <= known
    root = Path(__file__).parents[2]
    wrong = {
        f"{path.relative_to(root)}: {option}"
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
        for option in advised(path) - known
    }
    assert wrong == set()
