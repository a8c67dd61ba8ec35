"""Writes metadata.json, which tells Dataflow the parameters of the Flex template.

    python examples/dataflow/metadata.py

They are the options of `pairsmith build`, with the help it shows, and what Beam must be told, too.
"""

import ast
import dataclasses
import inspect
import json
from itertools import pairwise
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_type_hints

from apache_beam.options.pipeline_options import PipelineOptions

from pairsmith.commands.build import Options
from pairsmith.pipelines.engines.cloud import ModelOptions
from pairsmith.pipelines.storage.patience import StoreOptions

# Of no use where no process of this machine does the work or on a store, or set by main.py.
LEFT_OUT = ("workers", "waves", "replace", "verbose", "log")
TYPES = {int: "NUMBER", float: "NUMBER", bool: "BOOLEAN"}
HELP = {
    "input": "Files to read, as globs with spaces between them: gs://bucket/corpus/*.parquet",
    "output": "Folder to make, as gs://bucket/pairs. It must not exist, unless a build of it was "
    "ended half-way.",
    "cache": "Folder that keeps what models made, on a file system that every worker has; by "
    "default each worker keeps its own while it lives.",
}
REGEXES = {
    "input": [r"gs://\S+( +gs://\S+)*"],
    "output": [r"gs://[^*?\[\]\\]+"],
    "seed": [r"\d+"],
    "shards": [r"[1-9]\d*"],
    "max_failed": [r"[01](\.\d+)?|\.\d+"],
    "min_changed": [r"[01](\.\d+)?|\.\d+"],
    "batch_rows": [r"[1-9]\d*"],
    "warn_idle": ["true|false"],
}


def metadata() -> dict[str, Any]:
    """Return what metadata.json holds."""
    return {
        "name": "pairsmith build",
        "description": "Make contrastive training pairs from a corpus: a dataset on Cloud Storage.",
        "streaming": False,
        "parameters": [*_of_the_command(), _image(), *_of_beam(ModelOptions, StoreOptions)],
    }


def _of_the_command() -> list[dict[str, Any]]:
    help_texts = _docstrings(Options)
    kinds = get_type_hints(Options)
    made = []
    for field in dataclasses.fields(Options):
        if field.name in LEFT_OUT:
            continue
        required = field.default is dataclasses.MISSING
        kind = kinds[field.name]
        if isinstance(kind, UnionType):
            kind = next(one for one in get_args(kind) if one is not type(None))
        parameter = _parameter(
            field.name, HELP.get(field.name, help_texts[field.name]), TYPES.get(kind, "TEXT")
        )
        if field.name == "output":
            parameter["paramType"] = "GCS_WRITE_FOLDER"
        if field.name in REGEXES:
            parameter["regexes"] = REGEXES[field.name]
        if not required:
            parameter["isOptional"] = True
        if not required and field.default is not None:
            value = field.default
            parameter["defaultValue"] = str(value).lower() if kind is bool else str(value)
        made.append(parameter)
    return made


def _image() -> dict[str, Any]:
    text = "Image of the workers, with the pairsmith and the Python of the template's own."
    return _parameter("sdk_container_image", text, "TEXT")


def _of_beam(*groups: type[PipelineOptions]) -> list[dict[str, Any]]:
    """Return the Beam options that this package adds."""
    made = []
    for group in groups:
        parser = _Recorder()
        group._add_argparse_args(parser)
        made += [
            {
                **_parameter(
                    name.removeprefix("--"), how["help"], TYPES.get(how.get("type"), "TEXT")
                ),
                "isOptional": True,
            }
            for name, how in parser.added
        ]
    return made


class _Recorder:
    """Takes what would be added to an argument parser."""

    def __init__(self) -> None:
        self.added: list[tuple[str, dict[str, Any]]] = []

    def add_argument(self, name: str, **how: Any) -> None:
        self.added.append((name, how))


def _parameter(name: str, text: str, kind: str) -> dict[str, Any]:
    label = name.replace("_", " ").capitalize()
    return {"name": name, "label": label, "helpText": " ".join(text.split()), "paramType": kind}


def _docstrings(options: Any) -> dict[str, str]:
    """Return the string below each field of a dataclass, which is its help."""
    body: Any = ast.parse(inspect.getsource(options)).body[0]
    found = {}
    for field, below in pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            found[ast.unparse(field.target)] = ast.literal_eval(below.value)
    return found


def text() -> str:
    """Return metadata.json."""
    return json.dumps(metadata(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("metadata.json").write_text(text(), encoding="utf-8")
