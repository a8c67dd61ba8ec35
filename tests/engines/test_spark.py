"""Builds on Spark, through Beam's job server, which no Python package brings.

PAIRSMITH_SPARK_JOB_SERVER_JAR  the jar of beam-runners-spark-3-job-server (and Java), or
PAIRSMITH_SPARK_JOB_ENDPOINT    host:port of one that runs, with the same folders as this machine
PAIRSMITH_SPARK_ENVIRONMENT     "LOOPBACK", or "PROCESS" and its JSON; without it, both are tested
PAIRSMITH_SPARK_MASTER          for the jar: the master's URL, instead of local[2,4]
PAIRSMITH_SPARK_EXECUTORS       how many executors the master has on this machine, if not one

Clusters and local[2,4] try a failed task again, local[2] does not: two tests skip there.
"""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from pairsmith.schemas import Manifest, open_dataset
from tests.engines.conftest import SHARDS
from tests.engines.notes import cuts, kill_and_let_go, most_at_once, wait_for_hold
from tests.engines.runs import built, run, started
from tests.pipelines.corpora import documents, write_jsonl, write_parquet

SECONDS = 600
WORKER = json.dumps({"command": str(Path(sys.executable).with_name("pairsmith-worker"))})
GIVEN = os.environ.get("PAIRSMITH_SPARK_ENVIRONMENT")
ENVIRONMENTS = [GIVEN] if GIVEN else ["LOOPBACK", f"PROCESS {WORKER}"]
PARALLELISM = 16
"""More partitions than there are splits and shards, so that some are empty."""
JVM = (
    "-Dspark.serializer=org.apache.spark.serializer.KryoSerializer",
    f"-Dspark.default.parallelism={PARALLELISM}",
    "-Dspark.ui.enabled=false",
)


@pytest.fixture(scope="session")
def server() -> tuple[str, ...]:
    """Return the flags that name the job server."""
    if endpoint := os.environ.get("PAIRSMITH_SPARK_JOB_ENDPOINT"):
        return ("--runner=SparkRunner", f"--job_endpoint={endpoint}")
    jar = os.environ.get("PAIRSMITH_SPARK_JOB_SERVER_JAR")
    if not jar:
        pytest.skip(
            "no Spark: set PAIRSMITH_SPARK_JOB_SERVER_JAR to the jar of Beam's Spark job server, "
            "or PAIRSMITH_SPARK_JOB_ENDPOINT to a running one"
        )
    if not Path(jar).is_file():
        pytest.fail(f"PAIRSMITH_SPARK_JOB_SERVER_JAR={jar}: no such file")
    if not shutil.which("java"):
        pytest.skip("Beam's Spark job server needs Java: install a JRE, version 11 or 17")
    master = os.environ.get("PAIRSMITH_SPARK_MASTER", "local[2,4]")
    jvm = [f"--job_server_jvm_property={setting}" for setting in JVM]
    return (
        "--runner=SparkRunner",
        f"--spark_job_server_jar={jar}",
        f"--spark_master_url={master}",
        *jvm,
    )


@pytest.fixture(params=ENVIRONMENTS, ids=[name.split()[0] for name in ENVIRONMENTS])
def spark(server: tuple[str, ...], request: pytest.FixtureRequest) -> tuple[str, ...]:
    """Return all flags for a build on Spark, with workers of one kind."""
    kind, _, config = request.param.partition(" ")
    return (
        *server,
        f"--environment_type={kind}",
        *([f"--environment_config={config}"] if config else []),
        "--environment_cache_millis=0",
        "--storage_level=MEMORY_AND_DISK",
    )


def test_same_bytes_and_books_as_without_an_engine(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, expected: Manifest
) -> None:
    flags = ("--shards", SHARDS, *spark)
    made = built("quickstart", corpus, tmp_path / "out", *flags, seconds=SECONDS)
    assert made.shards == expected.shards
    assert made == expected


def test_many_small_files_and_shards_give_the_same_bytes(
    tmp_path: Path, spark: tuple[str, ...]
) -> None:
    rows = documents(120)
    (tmp_path / "cut").mkdir()
    for number, start in enumerate(range(0, len(rows), 5)):
        few = rows[start : start + 5][::-1]
        if number % 2:
            write_jsonl(tmp_path / "cut" / f"{97 - number}.jsonl", few)
        else:
            write_parquet(tmp_path / "cut" / f"{97 - number}.parquet", few)
    whole = write_parquet(tmp_path / "whole.parquet", rows)
    here = built("quickstart", whole, tmp_path / "here", "--shards", 40)
    flags = ("--shards", 40, *spark)
    there = built("quickstart", tmp_path / "cut" / "*", tmp_path / "out", *flags, seconds=SECONDS)
    assert there.shards == here.shards
    assert there.counts == here.counts


def test_a_recipe_of_ones_own_reaches_workers_that_lack_its_file(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, recipes: Path, loud: Manifest
) -> None:
    made = built(f"{recipes}:loud", corpus, tmp_path / "out", *spark, seconds=SECONDS)
    assert made.shards == loud.shards


def test_one_file_is_read_by_all_executors_at_once(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, recipes: Path
) -> None:
    built(f"{recipes}:slow", corpus, tmp_path / "out", *spark, seconds=SECONDS)
    spans = cuts(recipes)
    assert len(spans) >= 60  # a stage may be computed twice
    assert most_at_once(spans) > 1
    if "--environment_type=PROCESS" in spark:
        workers = {who for who, _, _ in spans}
        assert len(workers) >= int(os.environ.get("PAIRSMITH_SPARK_EXECUTORS", "1"))


def test_a_task_that_fails_is_tried_again_and_gives_the_same_bytes(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, recipes: Path, loud: Manifest
) -> None:
    # Two documents fail once each. Shards that stand before theirs in a partition are written by
    # the first attempt, and again by the last.
    need_second_attempts(corpus, tmp_path / "out", recipes, spark)
    made = open_dataset(tmp_path / "out").manifest
    assert {path.name for path in recipes.parent.glob("failed-*")} == {"failed-0", "failed-31"}
    assert made.shards == loud.shards
    assert made.counts == loud.counts


def need_second_attempts(corpus: Path, output: Path, recipes: Path, spark: tuple[str, ...]) -> None:
    """Build a recipe whose first attempts fail; skip the test where no task has a second one."""
    done = run(f"{recipes}:fails_once", corpus, output, *spark, seconds=SECONDS)
    if done.returncode and not recipes.with_name("tried-again").exists():
        pytest.skip("this Spark tries a task once: give it the master local[2,4], or a cluster")
    assert done.returncode == 0, done.stderr


def test_a_worker_that_is_killed_is_replaced(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, recipes: Path, loud: Manifest
) -> None:
    if "--environment_type=PROCESS" not in spark:
        pytest.skip("needs workers in processes of their own: PAIRSMITH_SPARK_ENVIRONMENT=PROCESS…")
    need_second_attempts(corpus, tmp_path / "failing", recipes, spark)
    recipes.with_name("hold").touch()
    with started(f"{recipes}:held", corpus, tmp_path / "out", *spark) as process:
        kill_and_let_go(recipes, wait_for_hold(recipes, process, SECONDS))
        _, printed = process.communicate(timeout=SECONDS)
        assert process.returncode == 0, printed
    assert open_dataset(tmp_path / "out").manifest.shards == loud.shards


def test_an_error_in_a_recipe_is_one_line_and_leaves_nothing(
    tmp_path: Path, spark: tuple[str, ...], corpus: Path, recipes: Path
) -> None:
    done = run(f"{recipes}:moody", corpus, tmp_path / "out", *spark, seconds=SECONDS)
    assert done.returncode == 2
    assert done.stderr == "pairsmith build: the rule Moody raised ArithmeticError: not today\n"
    assert not (tmp_path / "out").exists()
