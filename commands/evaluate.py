"""`pairsmith evaluate`: the scores of a saved encoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from pairsmith.schemas import UserError, require

_DESCRIPTION = """Score a text encoder.

MODEL is a folder or hub name that sentence-transformers can open, such as one made by
`pairsmith train`. Files are Parquet, CSV, TSV or JSON lines.

  --sts        columns sentence1, sentence2, score: Spearman's correlation of cosine and score
  --intent     columns text, label: accuracy of the nearest of 10 examples of each label,
               the mean of 5 draws by a fixed seed
  --retrieval  a folder with *docs* (doc_id, text), *queries* (query_id, text) and *qrels*
               (query_id, doc_id, maybe relevance) Parquet files: nDCG@10, recall, MRR

examples:
  pairsmith evaluate model --sts stsb.parquet --intent banking77.parquet
  pairsmith evaluate model --retrieval cisi --json
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: tyro.conf.Positional[str]
    """Folder or hub name."""
    sts: tuple[Path, ...] = ()
    """Similarity files."""
    split: str = "dev"
    """In similarity files with a `split` column, the rows to score."""
    intent: tuple[Path, ...] = ()
    """Classification files."""
    retrieval: tuple[Path, ...] = ()
    """Retrieval folders."""
    batch_size: int = 64
    """Texts encoded at a time."""
    device: str = "auto"
    """cpu, cuda, …; auto takes a GPU where there is one."""
    json: bool = False
    """Print the scores as one JSON object instead of a table."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = tyro.cli(
        Options, prog="pairsmith evaluate", description=_DESCRIPTION, args=list(argv)
    )
    require("scipy", "train")
    require("pytrec_eval", "train")
    from pairsmith.training.evaluation import Tasks, evaluate

    tasks = Tasks(options.sts, options.intent, options.retrieval, options.split)
    if not tasks:
        raise UserError("nothing to evaluate on; give --sts, --intent or --retrieval")
    tasks.check()
    require("sentence_transformers", "train")
    from transformers.utils.logging import disable_progress_bar

    from pairsmith.training.saved import open_saved

    disable_progress_bar()  # type: ignore[no-untyped-call]
    scores = evaluate(open_saved(options.model, options.device, options.batch_size), tasks)
    if options.json:
        print(json.dumps(scores, indent=1))
    else:
        width = max(map(len, scores))
        print("\n".join(f"{name:<{width}}  {value:.4f}" for name, value in scores.items()))
    return 0
