#!/usr/bin/env bash
# NEVER RUN ON A CLUSTER (see README.md).
# A build on YARN, from a machine with HADOOP_CONF_DIR and Spark 3.5: the job
# server is the Spark driver, in client mode.
set -euo pipefail
# shellcheck source=settings.sh
source "$(dirname "$0")/settings.sh"
PORT=${PORT:-8099}
MASTER=yarn
EXECUTORS=(--num-executors "${NUM_EXECUTORS:-8}")

CONF=()
for setting in "${SETTINGS[@]}"; do CONF+=(--conf "$setting"); done
"${SPARK_HOME:?}/bin/spark-submit" --master "$MASTER" --deploy-mode client --driver-memory 4g \
  "${EXECUTORS[@]}" "${CONF[@]}" \
  --class org.apache.beam.runners.spark.SparkJobServerDriver "$JOB_SERVER_JAR" \
  --job-port "$PORT" --artifact-port "$((PORT - 1))" --expansion-port "$((PORT - 2))" \
  --spark-master-url "$MASTER" &
server=$!
trap 'kill "$server" 2>/dev/null' EXIT
wait_for_server "$server" "$PORT"

"$VENV/bin/pairsmith" build "$@" "${FLAGS[@]}" "--job_endpoint=localhost:$PORT"
