"""The dataset card: what a person should know before using the pairs."""

import json

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pairsmith.pipelines.storage.files import join, open_file
from pairsmith.schemas import Manifest

_EXAMPLES = 2
_SHOWN_CHARS = 160


def card(manifest: Manifest, folder: str, name: str) -> str:
    """Return `README.md` of a dataset, with the front matter that dataset hubs read.

    folder: where its shards lie. name: what to call the recipe.
    """
    counts = manifest.counts
    kinds = "".join(f"| {kind} | {number:,} |\n" for kind, number in counts["kinds"].items())
    reasons = [
        f"| {folder} | {_cell(reason)} | {number:,} |\n"
        for folder, numbers in counts["reasons"].items()
        for reason, number in numbers.items()
    ]
    inputs = "".join(f"- `{_cell(file.name)}` ({file.bytes:,} bytes)\n" for file in manifest.inputs)
    sources, pairs = counts["sources"], counts["pairs"]
    recipe = json.dumps(manifest.recipe, indent=1, ensure_ascii=False, sort_keys=True)
    return f"""---
configs:
- config_name: default
  data_files: shards/*.parquet
tags: [sentence-transformers, contrastive-learning, pairsmith]
---
# {pairs["written"]:,} text pairs by the recipe `{name}`

Made with pairsmith {manifest.versions["pairsmith"]}. The texts keep the licences of their sources.

| | sources | pairs |
|---|---|---|
| read / tried | {sources["read"]:,} | {pairs["made"]:,} |
| written | {sources["written"]:,} | {pairs["written"]:,} |
| dropped | {sources["dropped"]:,} | {pairs["dropped"]:,} |
| failed | {sources["failed"]:,} | {pairs["failed"]:,} |

## Pairs by kind

| kind | pairs |
|---|---|
{kinds}
## Examples

{_examples(manifest, folder)}
## Why rows were left out

A reason counts rows of `dropped/` or `failed/`: a source, a unit of one, or a pair.

| | reason | rows |
|---|---|---|
{"".join(reasons)}
## Use

```python
from datasets import load_dataset

pairs = load_dataset("parquet", data_files="shards/*.parquet")
```

Or `pairsmith train THIS_FOLDER --output model`.

Columns: `anchor`, `positive`, `negatives`; rows with one `group_id` must not be negatives of each
other. `pairsmith verify` compares every file with its sum in `manifest.json`.

## Inputs

{inputs}
## Recipe

```json
{recipe}
```
"""


def _examples(manifest: Manifest, folder: str) -> str:
    if not manifest.shards:
        return ""
    path = join(folder, manifest.shards[0].path)
    with open_file(path) as stream, pq.ParquetFile(stream) as shard:
        rows = shard.read_row_group(0, ["kind", "anchor", "positive"])
    lines = ["| kind | anchor | positive |\n|---|---|---|\n"]
    for kind in manifest.counts["kinds"]:
        shown = rows.filter(pc.equal(rows["kind"].cast(pa.string()), kind)).slice(0, _EXAMPLES)
        for row in shown.to_pylist():
            lines.append(f"| {kind} | {_cell(row['anchor'])} | {_cell(row['positive'])} |\n")
    return "".join(lines)


def _cell(text: str) -> str:
    shown = text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"
    return " ".join(shown.replace("|", "\\|").replace("<", "&lt;").split())
