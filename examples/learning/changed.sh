#!/usr/bin/env bash
# Changed copies as hard negatives: what settings of the loss make of them.
#   examples/learning/changed.sh FOLDER NAME [more flags of pairsmith train]
set -euo pipefail
work=$(realpath -m "${1:?give a folder to work in}") name=${2:?give the run a name}
cd "$(dirname "$0")/../.."
data=$(realpath "${PAIRSMITH_SHARED:-../shared}/data")
pairsmith=.venv/bin/pairsmith demo=examples/demo

test -d "$work/pairs" || "$pairsmith" build examples/learning/recipe.py:changed --output "$work/pairs" \
  --input "$demo/corpus/*.parquet"
"$pairsmith" train "$work/pairs" --output "$work/$name" --threads 1 --steps 250 --evaluate-every 250 \
  --sts "$data"/eval/{stsb,sick}_en.parquet --intent $demo/eval/intents_en.parquet \
  --retrieval $demo/eval/paraphrases_en "${@:3}"
.venv/bin/python examples/learning/apart.py "$data" "$work/pairs" "$work/$name"
