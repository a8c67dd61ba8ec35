# Read by the other scripts: what they have in common.
# shellcheck shell=bash disable=SC2034
VENV=${VENV:-/opt/pairsmith}
PARALLELISM=${PARALLELISM:-64}
: "${JOB_SERVER_JAR:?set it to the path of beam-runners-spark-3-job-server-VERSION.jar}"

SETTINGS=(
  spark.serializer=org.apache.spark.serializer.KryoSerializer
  "spark.default.parallelism=$PARALLELISM"
  "spark.executor.cores=${EXECUTOR_CORES:-1}"
  "spark.executor.memory=${EXECUTOR_MEMORY:-3g}"
  "spark.executor.memoryOverhead=${EXECUTOR_OVERHEAD:-3g}" # Python; standalone clusters ignore it
  spark.task.maxFailures=4
)
FLAGS=(
  --runner=SparkRunner
  --environment_type=PROCESS
  "--environment_config={\"command\": \"$VENV/bin/pairsmith-worker\"}"
  --environment_cache_millis=0
  --storage_level=MEMORY_AND_DISK
  "--files_to_stage=$JOB_SERVER_JAR"
)

# Wait for the job server that was started in the background as process $1, on port $2.
wait_for_server() {
  for _ in $(seq 120); do
    if (exec 3<>"/dev/tcp/localhost/$2") 2>/dev/null; then return; fi
    kill -0 "$1" 2>/dev/null || { echo "the job server ended before it was ready" >&2; exit 1; }
    sleep 1
  done
  echo "the job server is not ready after two minutes" >&2
  exit 1
}
