"""Every import is declared, and the lock file holds every version."""

import ast
import importlib.metadata
import re
import sys
import tomllib

import pytest

pytestmark = pytest.mark.checkout
# Which extras a folder may use; `commands` may use both, since it imports late.
ALLOWED = {
    "schemas": [],
    "augmenters": ["build", "llm", "masks", "nlpaug", "translate", "wordnet"],
    "pipelines": ["build"],
    "training": ["lora", "mteb", "onnx", "train", "tune", "wandb"],
    "commands": ["build", "onnx", "train", "tune"],
}


@pytest.fixture(scope="module")
def project(checkout):
    return tomllib.loads((checkout / "pyproject.toml").read_text("utf-8"))["project"]


def name(requirement):
    return re.match(r"[A-Za-z0-9_.-]+", requirement)[0].lower()


def imported(file):
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize("folder", ALLOWED)
def test_every_import_is_in_the_extra_of_its_folder(checkout, project, folder):
    declared = {name(r) for r in project["dependencies"]}
    for extra in ALLOWED[folder]:
        declared |= {name(r) for r in project["optional-dependencies"][extra]}
    brings = importlib.metadata.packages_distributions()
    for file in (checkout / folder).rglob("*.py"):
        for module in {*imported(file)} - {*sys.stdlib_module_names, "pairsmith"}:
            distributions = {d.lower().replace("_", "-") for d in brings.get(module, [module])}
            assert distributions & declared, f"{file.relative_to(checkout)} imports {module}"


def test_every_dependency_is_imported_somewhere(checkout, project):
    others = {"all", "bench", "cloud", "dev"}  # names of extras; what tests and benchmarks import
    extras = {"no extra": project["dependencies"], **project["optional-dependencies"]}
    extras = {extra: listed for extra, listed in extras.items() if extra not in others}
    brought_in = {"tensorboard"}  # by torch.utils.tensorboard
    brings = importlib.metadata.packages_distributions()
    files = [file for folder in ALLOWED for file in (checkout / folder).rglob("*.py")]
    text = "\n".join(file.read_text("utf-8") for file in files)
    for extra, requirements in extras.items():
        for distribution in map(name, requirements):
            modules = [m for m, ds in brings.items() if distribution in map(canonical, ds)]
            used = any(re.search(rf"\b(import|from) {m}\b|\"{m}[.\"]", text) for m in modules)
            assert used or distribution in brought_in, f"{extra}: {distribution} is not used"


def test_every_line_that_installs_pairsmith_works_in_a_checkout(checkout, project):
    pages = [
        *checkout.glob("*.md"),
        *checkout.glob("docs/*.md"),
        *checkout.glob("examples/**/*.md"),
    ]
    files = [file for folder in ALLOWED for file in (checkout / folder).rglob("*.py")]
    install = re.compile(r"pip install\s+'?([^\s'`]+)")
    told = [what for f in (*pages, *files) for what in install.findall(f.read_text("utf-8"))]
    extras = [what[2:-1].split(",") for what in told if re.fullmatch(r"\.\[.+\]", what)]
    assert len(extras) >= 7
    assert {name for names in extras for name in names} <= {
        *project["optional-dependencies"],
        "{extra}",  # as an error has it
    }
    # Nothing is published: a name would bring what a stranger calls so, or nothing.
    assert [what for what in told if "pairsmith" in what] == []


def canonical(distribution):
    return distribution.lower().replace("_", "-")


def test_the_lock_file_pins_every_dependency_and_names_no_index(checkout, project):
    text = (checkout / "constraints.txt").read_text("utf-8")
    pinned = {line.split("==")[0] for line in text.splitlines()}
    extras = project["optional-dependencies"]
    declared = {name(r) for rs in [project["dependencies"], *extras.values()] for r in rs}
    assert declared - {"pairsmith"} <= pinned  # [all] names the other extras
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)?$", line) for line in text.splitlines())


def test_every_dependency_is_explained(checkout, project):
    explained = (checkout / "docs" / "dependencies.md").read_text("utf-8")
    extras = project["optional-dependencies"]
    declared = {name(r) for rs in [project["dependencies"], *extras.values()] for r in rs}
    assert {d for d in declared if f"| {d} |" not in explained} == {"pairsmith"}
