"""Submit scripts of examples/spark, with Prism in the place of Spark's driver."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pairsmith.schemas import Manifest, open_dataset
from tests.engines.conftest import SHARDS

SCRIPTS = Path(__file__).parents[2] / "examples" / "spark"
STAND_IN = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "{told}"
while [ "$1" != --job-port ]; do shift; done
exec "{prism}" --job_port "$2" --serve_http=false
"""
COMMAND = """#!/usr/bin/env bash
printf '%s\\n' "$@" > "{flags}"
exec "{venv}/bin/pairsmith" "$@"
"""


@pytest.mark.parametrize("script", ["standalone.sh", "kubernetes.sh", "yarn.sh"])
def test_a_script_builds_the_same_bytes_and_gives_spark_its_settings(
    tmp_path: Path, prism: Path, corpus: Path, expected: Manifest, script: str
) -> None:
    told = tmp_path / "told"
    (tmp_path / "bin").mkdir()
    for name in ("java", "spark-submit"):
        stand_in = tmp_path / "bin" / name
        stand_in.write_text(STAND_IN.format(told=told, prism=prism))
        stand_in.chmod(0o700)
    flags, venv = tmp_path / "flags", Path(sys.executable).parents[1]
    command = tmp_path / "bin" / "pairsmith"
    command.write_text(COMMAND.format(flags=flags, venv=venv))
    command.chmod(0o700)
    (tmp_path / "bin" / "pairsmith-worker").symlink_to(venv / "bin" / "pairsmith-worker")
    jar = tmp_path / "job-server.jar"
    jar.touch()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    done = subprocess.run(
        [
            *(SCRIPTS / script, "quickstart", "--input", corpus, "--output", tmp_path / "out"),
            *("--shards", str(SHARDS)),
        ],
        env={
            **os.environ,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "SPARK_HOME": str(tmp_path),
            "VENV": str(tmp_path),
            "JOB_SERVER_JAR": str(jar),
            "PORT": str(port),
            "IMAGE": "image",
            "CLAIM": "claim",
            **({"MASTER": "spark://here:7077"} if script == "standalone.sh" else {}),
        },
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert done.returncode == 0, done.stderr
    assert open_dataset(tmp_path / "out").manifest == expected
    arguments = told.read_text()
    assert str(jar) in arguments
    for setting in ("spark.serializer=org", "spark.default.parallelism=64", "Overhead=3g"):
        assert setting in arguments
    assert f"--files_to_stage={jar}" in flags.read_text().splitlines()
