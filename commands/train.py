"""`pairsmith train`: datasets in, a sentence-transformers folder out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from pairsmith.commands import run_options
from pairsmith.commands.models import require_models
from pairsmith.schemas import UserError, require

_DESCRIPTION = """Train a text encoder on pairs.

DATA are folders made by `pairsmith build`. The encoder learns to put a pair's two texts close
together and all other texts of the batch far away (InfoNCE); texts of one group, and equal texts,
are never negatives of each other. The result opens in sentence-transformers.

While it trains, everything stands in OUTPUT.unfinished. If it is killed, the same command resumes
from the last checkpoint, with the same batches in the same order.

static:TOKENIZER:DIM is a table of one vector of DIM numbers for each subword, quick on a CPU.
TOKENIZER is a tokenizer.json, a folder or a hub name; left empty, as in static::256, a WordPiece
tokenizer is trained from the data.

examples:
  pairsmith train pairs --output model --sts stsb.parquet
      a static embedding: minutes on a laptop, its tokenizer learned from the pairs
  pairsmith train pairs more-pairs --output model --model bert-base-uncased --epochs 2
      a BERT-type model from a hub or a folder; wants a GPU
  pairsmith train --config my_runs.py:small --output other --temperature 0.03
      settings from the function `small`, which returns a TrainConfig; flags override them
  torchrun --nproc-per-node 8 -m pairsmith.commands.main train pairs --output model …
      one run over eight GPUs; it can resume with any other number
  pairsmith train pairs --output model --plan --measure 20
      what that will take: steps, memory, time
  pairsmith train pairs --output model --loss symmetric --matryoshka 64 128 --verify
      whether loss and gradients are right with these settings, on these pairs
  tensorboard --logdir model/logs
      the curves; while training, they are in model.unfinished/logs
"""


@dataclass(frozen=True)
class Options:
    """What the command line says."""

    config: run_options.Settings
    function: run_options.Function = ""
    """FILE.py:FUNCTION or MODULE:FUNCTION that returns a TrainConfig; flags override it."""
    verify: bool = False
    """Check the loss and gradients of the first batch against the plain formula in float64, and
    stop: nothing is trained and nothing is written."""
    plan: bool = False
    """Tell what the run will take, and stop: nothing is trained and nothing is written."""
    ranks: int = 1
    """With --plan: the number of processes to plan for."""
    measure: int = 0
    """With --plan: take this many steps in a folder that is then removed, to tell the time."""


def main(argv: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    options = parse(argv)
    config = options.config
    if not options.plan and (options.measure or options.ranks != 1):
        raise UserError("--measure and --ranks belong to --plan; give it too, or leave them out")
    if options.plan and options.verify:
        raise UserError("--plan and --verify: each stops when it is done; give one at a time")
    require_models()
    if config.telemetry.tensorboard:
        require("tensorboard", "train")
    if config.telemetry.curves:
        require("matplotlib", "train")
    if config.telemetry.wandb:
        require("wandb", "wandb")
    from pairsmith.training.telemetry.journal import print_scores
    from pairsmith.training.train import train

    leads = os.environ.get("RANK", "0") == "0"  # of torchrun's processes, one tells
    if options.plan:
        from pairsmith.training.plan import plan

        rows = plan(config, options.ranks, options.measure).table()
        width = max(len(name) for name, _ in rows)
        print("\n".join(f"{name:<{width}}  {value}" for name, value in rows))
        return 0
    if options.verify:
        from pairsmith.training.verification import verify_run

        lines = verify_run(config)
        if leads:
            print("\n".join(lines))
        return 0
    scores = train(config)
    if leads:
        if scores:
            print_scores({f"step {step}": values for step, values in scores.items()})
        print(f"wrote {config.output}")
    return 0


def parse(argv: Sequence[str]) -> Options:
    """Return the settings that the command line gives, over those of the function it may name."""
    return run_options.parse(Options, argv, "pairsmith train", _DESCRIPTION)
