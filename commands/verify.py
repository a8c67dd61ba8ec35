"""`pairsmith verify`: tells whether a dataset is what its manifest says."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import tyro

from pairsmith.schemas import problems, read_manifest

_DESCRIPTION = """Check a dataset against its manifest: names, sizes, sha256, schema, rows.

Exit code 0 when all agree, 2 otherwise, with a line for each file that does not.

example:
  pairsmith verify pairs
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    dataset: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Folder made by `pairsmith build`; file:// may stand before it."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(Options, prog="pairsmith verify", description=_DESCRIPTION, args=list(argv))
    dataset = read_manifest(options.dataset.removeprefix("file://"))
    found = list(problems(dataset))
    for problem in found:
        print(f"pairsmith verify: {problem}", file=sys.stderr)
    if found:
        return 2
    manifest = dataset.manifest
    files = len(manifest.shards) + len(manifest.dropped) + len(manifest.failed)
    print(
        f"{options.dataset} is whole: {dataset.rows:,} pairs in {len(manifest.shards)} shards, "
        f"{files} files checked, digest {manifest.digest[:16]}"
    )
    return 0
