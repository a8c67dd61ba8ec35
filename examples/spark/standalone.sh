#!/usr/bin/env bash
# NEVER RUN ON A CLUSTER (see README.md).
# A build on a standalone cluster; the command starts the job
# server, which is the Spark driver: executors must reach this machine.
set -euo pipefail
# shellcheck source=settings.sh
source "$(dirname "$0")/settings.sh"
MASTER=${MASTER:?set it to spark://HOST:7077}

exec "$VENV/bin/pairsmith" build "$@" "${FLAGS[@]}" \
  "--spark_job_server_jar=$JOB_SERVER_JAR" \
  "--spark_master_url=$MASTER" \
  --job_server_jvm_property=-Xmx4g \
  "${SETTINGS[@]/#/--job_server_jvm_property=-D}"
