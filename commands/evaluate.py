"""`pairsmith evaluate`: the scores of a saved encoder."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import tyro

from pairsmith.commands.models import require_models
from pairsmith.schemas import UserError, require
from pairsmith.training.evaluation.scores import Tasks

_DESCRIPTION = """Score a text encoder.

MODEL is a folder or hub name that sentence-transformers can open, such as one made by
`pairsmith train`. Files are Parquet, CSV, TSV or JSON lines.

  --sts        columns sentence1, sentence2, score: Spearman's correlation of cosine and score
  --pairs      columns sentence1, sentence2, label: average precision and area under the ROC curve
               of telling paraphrases (1) from others (0)
  --intent     columns text, label: accuracy of the nearest of 10 examples of each label,
               the mean of 5 draws by a fixed seed
  --bitext     two columns named by their languages, as en, zh: how often the nearest of 1,000
               texts is the translation, both ways
  --retrieval  a folder with *docs* (doc_id, text), *queries* (query_id, text) and *qrels*
               (query_id, doc_id, maybe relevance) Parquet files: nDCG@10, recall, MRR
  --task       mteb:NAME, a task of the package mteb, which fetches its data from a hub

examples:
  pairsmith evaluate model --sts stsb.parquet --intent banking77.parquet
  pairsmith evaluate model --pairs lcqmc.parquet --bitext tatoeba_en_zh.parquet
  pairsmith evaluate model --retrieval cisi --json
  pairsmith evaluate model --task mteb:SciFact mteb:STS22
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    model: tyro.conf.Positional[str]
    """Folder or hub name."""
    tasks: Annotated[Tasks, tyro.conf.OmitArgPrefixes] = field(default_factory=Tasks)
    """What to evaluate on."""
    task: tuple[str, ...] = ()
    """Tasks of a benchmark package: mteb:NAME."""
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
    for module in ("scipy", "sklearn", "pytrec_eval"):
        require(module, "train")
    from pairsmith.training.evaluation.saved import encode_with, open_saved
    from pairsmith.training.evaluation.scores import evaluate
    from pairsmith.training.telemetry.journal import print_scores

    if not (options.tasks or options.task):
        raise UserError(
            "nothing to evaluate on; give --sts, --pairs, --intent, --bitext, --retrieval or --task"
        )
    options.tasks.check_files()
    require("sentence_transformers", "train")
    require_models()
    benchmarks = []
    if options.task:
        require("mteb", "mteb")
        from pairsmith.training.evaluation.mteb_tasks import open_task, score_task

        benchmarks = [open_task(name) for name in options.task]
    model = open_saved(options.model, options.device)
    scores = evaluate(encode_with(model, options.batch_size), options.tasks)
    for task in benchmarks:
        scores |= score_task(model, task, options.batch_size)
    if options.json:
        print(json.dumps(scores, indent=1))
    else:
        print_scores({"value": scores})
    return 0
