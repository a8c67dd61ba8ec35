"""What `pairsmith plan` foresees, beside what the build then does.

Each corpus is planned and built by the commands, in turns; the time of a build is
processor time, which other work on the machine disturbs least. The last column is how far the
plan is off, at worst.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from shared import CORPUS

from pairsmith.schemas import open_dataset

NAMES = ("fed_documents_en", "sgd_turns_en", "mixed_sentences_zh")
SCRIPT = str(Path(sys.executable).with_name("pairsmith"))


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("inputs", nargs="*", type=Path)
    parser.add_argument("--recipe", default="quickstart")
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    files = options.inputs or [CORPUS / f"{name}.parquet" for name in NAMES]
    if missing := [str(file) for file in files if not file.is_file()]:
        raise SystemExit(f"no {missing[0]}: give files with a column text")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = ("apache-beam", "pyarrow", "numba")
    print(f"{platform.machine()}, Python {platform.python_version()}, ", end="")
    print(", ".join(f"{name} {version(name)}" for name in names))
    print("\n| input | | foreseen | real | off |\n|---|---|---|---|---|")
    for file in files:
        with tempfile.TemporaryDirectory() as folder:
            rows = race(file, options.recipe, Path(folder), options.runs)
        for noun, (foreseen, real) in rows.items():
            off = foreseen / real - 1 if real else 0.0
            print(f"| {file.stem} | {noun} | {foreseen:,.4g} | {real:,.4g} | {off:+.1%} |")


def race(file: Path, recipe: str, folder: Path, runs: int) -> dict[str, tuple[float, float]]:
    """Return what was foreseen and what was done, medians of so many runs after one of each."""
    foreseen, real = list[float](), list[float]()
    plan = [SCRIPT, "plan", recipe, "--input", str(file), "--json"]
    for turn in range(runs + 1):
        data = json.loads(subprocess.run(plan, check=True, capture_output=True).stdout)
        output = folder / str(turn)
        seconds = measure([SCRIPT, "build", recipe, "--input", str(file), "--output", str(output)])
        if turn:
            foreseen.append(data["cpu_seconds"])
            real.append(seconds)
    manifest = open_dataset(output).manifest
    counts, files = manifest.counts, [*manifest.shards, *manifest.dropped, *manifest.failed]
    pairs = data["pairs"]
    return {
        "pairs written": (pairs["written"], counts["pairs"]["written"]),
        "pairs dropped": (pairs["dropped"], counts["pairs"]["dropped"]),
        "sources dropped": (data["sources"]["dropped"], counts["sources"]["dropped"]),
        "bytes": (sum(data["bytes"].values()), sum(file.bytes for file in files)),
        "CPU s": (statistics.median(foreseen), statistics.median(real)),
    }


def measure(command: list[str]) -> float:
    """Run a command and return its processor time, of all its processes, in seconds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main()
