#!/usr/bin/env bash
# NEVER RUN ON A CLUSTER (see README.md).
# A build on Kubernetes, from a pod in the cluster that holds Spark 3.5 and
# may make pods: the job server is the Spark driver, in client mode. IMAGE holds Spark and, in $VENV,
# pairsmith; CLAIM is a volume with the corpus and the output, mounted at $DATA in this pod, too.
set -euo pipefail
# shellcheck source=settings.sh
source "$(dirname "$0")/settings.sh"
PORT=${PORT:-8099}
MASTER=${MASTER:-k8s://https://kubernetes.default.svc}
VOLUME=spark.kubernetes.executor.volumes.persistentVolumeClaim.data
DATA=${DATA:-/data}
EXECUTORS=(
  --conf "spark.executor.instances=${NUM_EXECUTORS:-8}"
  --conf "spark.kubernetes.container.image=${IMAGE:?an image with Spark 3.5 and pairsmith}"
  --conf "spark.kubernetes.namespace=${NAMESPACE:-default}"
  --conf "spark.kubernetes.authenticate.serviceAccountName=${SERVICE_ACCOUNT:-spark}"
  --conf "$VOLUME.options.claimName=${CLAIM:?the claim of the volume with the data}"
  --conf "$VOLUME.mount.path=$DATA"
  --conf "spark.driver.host=$(hostname -i)"
)

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
