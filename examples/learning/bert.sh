#!/usr/bin/env bash
# A BERT with random weights, 2 layers of 128, on sentences, their neighbours and noisy copies; and
# the same on exact copies, seen through dropout (SimCSE), for comparison. Ten minutes each.
#   examples/learning/bert.sh FOLDER [more flags of pairsmith train]
set -euo pipefail
work=$(realpath -m "${1:?give a folder to work in}")
cd "$(dirname "$0")/../.."
data=${PAIRSMITH_SHARED:-../shared}/data
pairsmith=.venv/bin/pairsmith

for recipe in examples/learning/recipe.py:near_and_noisy identity; do
  name=${recipe##*:}
  test -d "$work/$name" || "$pairsmith" build "$recipe" --output "$work/$name" \
    --input "$data"/corpus/{novels_documents,fed_documents,sgd_dialogues}_en.parquet
  time "$pairsmith" train "$work/$name" --output "$work/bert-$name" --model bert::2x128 --vocabulary 8000 \
    --batch-size 256 --learning-rate 0.001 --max-length 32 --steps 1300 --evaluate-every 325 \
    --sts "$data/eval/stsb_en.parquet" "${@:2}"
done
