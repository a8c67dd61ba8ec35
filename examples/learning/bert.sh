#!/usr/bin/env bash
# A BERT with random weights, 2 layers of 128, on captions of one picture; and the same on exact
# copies of these captions, seen through dropout (SimCSE), for comparison.
#   examples/learning/bert.sh FOLDER [more flags of pairsmith train]
set -euo pipefail
work=$(realpath -m "${1:?give a folder to work in}")
cd "$(dirname "$0")/../.."
data=${PAIRSMITH_SHARED:-../shared}/data
pairsmith=.venv/bin/pairsmith

mkdir -p "$work"
.venv/bin/python examples/learning/captions.py "$data/pairs/multi30k_captions5_en.parquet" \
  "$data/eval/stsb_en.parquet" "$work/captions.parquet"
for recipe in examples/learning/recipe.py:near identity; do
  name=${recipe##*:} pairs=$work/captions-${recipe##*:}
  test -d "$pairs" || "$pairsmith" build "$recipe" --output "$pairs" --input "$work/captions.parquet"
  time "$pairsmith" train "$pairs" --output "$work/bert-$name" --model bert::2x128 --vocabulary 8000 \
    --batch-size 256 --learning-rate 0.001 --max-length 32 --steps 1000 --evaluate-every 250 \
    --sts "$data/eval/stsb_en.parquet" "${@:2}"
done
