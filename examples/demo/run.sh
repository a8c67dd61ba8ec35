#!/usr/bin/env bash
# The demo: documents to pairs, pairs to a static encoder, its scores before and after.
set -euo pipefail
cd "$(dirname "$0")/../.."
pairsmith=.venv/bin/pairsmith
here=examples/demo

rm -rf demo
"$pairsmith" build "$here/recipe.py:demo" --input "$here/corpus/*.parquet" --output demo/pairs
# Evaluates before the first and after the last step: no run has a million.
"$pairsmith" train demo/pairs --model static::256 --output demo/model --evaluate-every 1000000 \
  --intent "$here/eval/intents_en.parquet" \
  --retrieval "$here/eval/paraphrases_en" "$here/eval/paraphrases_zh"
echo "pairs: demo/pairs  card: demo/pairs/README.md  model: demo/model"
