#!/usr/bin/env bash
# A static encoder from raw text alone: documents to pairs, random vectors to an encoder.
#   examples/learning/static.sh FOLDER [more flags of pairsmith train]
set -euo pipefail
work=$(realpath -m "${1:?give a folder to work in}")
cd "$(dirname "$0")/../.."
data=${PAIRSMITH_SHARED:-../shared}/data
pairsmith=.venv/bin/pairsmith

test -d "$work/near" || "$pairsmith" build examples/learning/recipe.py:near --output "$work/near" \
  --input "$data"/corpus/{novels_documents,fed_documents,sgd_dialogues}_en.parquet
time "$pairsmith" train "$work/near" --output "$work/static" --model static::1024 --rarity 0.001 --letters \
  --interpolate 0.5 --learning-rate 0.003 --steps 1000 --evaluate-every 250 \
  --sts "$data/eval/stsb_en.parquet" --intent "$data/eval/banking77_train_en.parquet" "${@:2}"
