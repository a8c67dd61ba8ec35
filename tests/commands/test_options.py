"""Whether the options that messages and docstrings advise are there."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pairsmith.commands.main import COMMANDS, main
from pairsmith.pipelines.recipe.shipped import SHIPPED

FOLDERS = ("augmenters", "pipelines", "training", "commands")
OTHERS = {"--help", "--version", "--id", "--logdir", "--nproc-per-node", "--runner"}
"""Read before the parsers; of a worker's command, TensorBoard, torchrun and Beam."""
BESIDE = {"--experiments", "--nnodes", "--parallelism", "--port", "--rdzv-endpoint", "--resolution"}
"""Of torchrun, Beam, llama.cpp and uv, as pages speak of them."""
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z0-9-]*[a-z0-9](?![\w-])")


@pytest.fixture
def help_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], str]:
    """Return what prints a command's help."""
    monkeypatch.setenv("COLUMNS", "80")  # a wider help has two columns

    def run(command: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0
        return capsys.readouterr().out

    return run


def offered(text: str) -> set[str]:
    """Return the options that a help lists."""
    heads = re.findall(r"^[│ ] (-.*?)(?:  |│|$)", text, re.MULTILINE)
    return {option for head in heads for option in re.findall(r"--[a-z][a-z0-9-]*", head)}


def advised(path: Path) -> set[str]:
    """Return the options that a file's strings speak of."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found |= set(OPTION.findall(node.value))
    return found


BUILD = "build quickstart --input none --output out"
TRAIN = "train none --output out"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (f"{TRAIN} --plan --verify", "--plan and --verify"),
        (f"{TRAIN} --model some/bert --lora-alpha 8", "--lora-alpha belongs to --lora"),
        (f"{TRAIN} --model some/bert --lora-targets query", "--lora-targets belongs to --lora"),
        (f"{TRAIN} --model some/bert --lora-dropout 0.1", "--lora-dropout belongs to --lora"),
        (f"{TRAIN} --model some/bert --no-lora-merge", "--lora-merge belongs to --lora"),
        (f"{TRAIN} --model some/bert --vocabulary 500", "--vocabulary belongs to a tokenizer"),
        (f"{TRAIN} --batch-size=32 --batch-size=64", "--batch-size is given twice"),
        (f"{TRAIN} --batch-size 32 --batch_size 64", "--batch_size is given twice"),
        (f"{BUILD} --shards=3 --shards=4", "--shards is given twice"),
        (f"{BUILD} --max-failed=0 --max_failed=0.5", "--max_failed is given twice"),
        (f"{BUILD} --waves 2 --runner=BundleBasedDirectRunner", "--waves is for builds"),
        (
            f"{BUILD} --workers 2 --runner=BundleBasedDirectRunner",
            "--workers is for builds",
        ),
        (f"{BUILD} --experiments=a --experiments=b", "no input file matches"),  # Beam's own may be
    ],
)
def test_an_option_that_would_be_ignored_is_refused(
    line: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(line.split()) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_explains_every_option(
    command: str, help_of: Callable[[str], str]
) -> None:
    text = help_of(command)
    assert re.search(rf"\nexamples?:\n +pairsmith {command}\b", text)
    options = re.findall(r"^[│ ] --?[a-z].*(?:\n[│ ]  .*)*", text, re.MULTILINE)
    assert len(options) >= len(offered(text)) / 2  # with --no-…, two are explained in one
    for option in options:
        words = re.sub(r"[│\s]+", " ", option)
        told = re.sub(r"\((default: |required).*|\{[^}]*\}|--?[a-z][\w-]*", "", words)
        assert re.search(r"(?<![\w.:])[a-z]{2,}", told), f"{words} is not explained"


@pytest.mark.parametrize("command", ["build", "plan"])
def test_help_says_what_each_recipe_that_ships_makes(
    command: str, help_of: Callable[[str], str]
) -> None:
    text = " ".join(help_of(command).split())
    for recipe in SHIPPED:
        assert f"{recipe.__name__} {recipe.__doc__}" in text


@pytest.mark.checkout
def test_every_option_that_is_advised_is_there(help_of: Callable[[str], str]) -> None:
    known = OTHERS.union(*(offered(help_of(command)) for command in COMMANDS))
    assert {"--append-eos", "--no-lora-merge", "--max-failed", "--search"} <= known
    root = Path(__file__).parents[2]
    wrong = {
        f"{path.relative_to(root)}: {option}"
        for folder in FOLDERS
        for path in (root / folder).rglob("*.py")
        for option in advised(path) - known
    }
    assert wrong == set()


@pytest.mark.checkout
def test_every_option_that_a_page_speaks_of_is_there(
    checkout: Path, help_of: Callable[[str], str]
) -> None:
    known = (OTHERS | BESIDE).union(*(offered(help_of(command)) for command in COMMANDS))
    for script in (checkout / "benchmarks").glob("*.py"):
        known |= advised(script)
    pages = [checkout / "README.md", *(checkout / "docs").glob("*.md")]
    spoken = {page.name: set(OPTION.findall(page.read_text("utf-8"))) for page in pages}
    assert len(set().union(*spoken.values())) > 80
    wrong = {name: options - known for name, options in spoken.items() if options - known}
    assert wrong == {}
