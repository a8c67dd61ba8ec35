"""Shards open unchanged in Spark, and say the same there."""

import os
import shutil

import pytest

from pairsmith.schemas import PAIRS, open_dataset

pyspark_sql = pytest.importorskip(
    "pyspark.sql",
    reason="Spark is not here: pip install pyspark, which needs Java, and run this again",
)

# Py4J leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def spark():
    if not (shutil.which("java") or os.environ.get("JAVA_HOME")):
        pytest.skip("Java is not here: install it, or set JAVA_HOME, and run this again")
    builder = pyspark_sql.SparkSession.builder.master("local[1]")
    for name, value in {
        "spark.ui.enabled": "false",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
    }.items():
        builder = builder.config(name, value)
    session = builder.getOrCreate()
    yield session
    session.stop()


def test_spark(golden, spark):
    frame = spark.read.parquet(str(golden / "shards"))
    assert frame.columns == PAIRS.names
    # Spark has no unsigned integers: it reads them as decimal(20, 0), and loses nothing.
    rows = [row.asDict(recursive=True) for row in frame.orderBy("pair_id").collect()]
    expected = sorted(open_dataset(golden).read().to_pylist(), key=lambda row: row["pair_id"])
    assert rows == expected


def test_spark_looks_into_the_negatives(golden, spark):
    frame = spark.read.parquet(str(golden / "shards"))
    taught = frame.selectExpr("kind", "anchor", "inline(negative_info)")
    assert taught.where("teacher = 'bm25'").select("rank").collect() == [(12,)]
