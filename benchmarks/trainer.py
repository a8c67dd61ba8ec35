"""Training beside the trainer of sentence-transformers: pairs a second, same model, batch and loss.

    python benchmarks/trainer.py [sentences.parquet] [--runs 5] [--threads 1]

Two encoders with random weights and one tokenizer: a static embedding, and a BERT of 2 layers of
128. Both trainers start from the same folders on disk, read the same Parquet shards of pairs,
tokenise while they train, contrast each anchor with the positives of its batch (InfoNCE at
temperature 0.05, which is MultipleNegativesRankingLoss), and are otherwise left at their defaults,
without evaluation, on a CPU. Each run is a process of its own, all on the same cores, taking turns;
timed is the call that trains, from opening the data (pairsmith: with its checksums, and with saving
the model) to its return, not the imports before it. Threads are those of each trainer's default
(torch: one for each core; pairsmith for static: one less, which is left to tokenising), or given
for both. In both, threads sleep while they wait for each other, as `pairsmith train` has them: on a
machine where others work too, spinning takes ten times a step's time.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from itertools import product
from pathlib import Path

from shared import CORPUS

PAIRS = 120_000
STEPS = {("static", 64): 300, ("static", 1024): 60, ("bert", 64): 60, ("bert", 1024): 6}
Seconds = tuple[float, float]
"""By the clock, and of processor time."""
SPECIAL = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
TRAINERS = ("sentence-transformers", "pairsmith")


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = CORPUS / "fed_sentences_en.parquet"
    parser.add_argument("sentences", nargs="?", type=Path, default=default)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--encoders", nargs="+", default=("static", "bert"))
    parser.add_argument("--batches", nargs="+", type=int, default=(64, 1024))
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        trainer, folder, kind, batch = options.one
        train = theirs if trainer == "sentence-transformers" else ours
        print(json.dumps(train(Path(folder), kind, int(batch), options.threads)))
        return
    names = ("torch", "sentence-transformers", "transformers", "datasets")
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, ",
        end="",
    )
    print(", ".join(f"{name} {version(name)}" for name in names))
    print(
        "\n| encoder | batch | steps | | pairs/s (range) | x sentence-transformers | by CPU time |"
    )
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), options.sentences)
        for kind, batch in product(options.encoders, options.batches):
            rows = batch * STEPS[kind, batch]
            seconds: dict[str, list[Seconds]] = {trainer: [] for trainer in TRAINERS}
            for _, trainer in product(range(options.runs), TRAINERS):
                seconds[trainer].append(run(trainer, Path(name), kind, batch, options.threads))
            base = [statistics.median(column) for column in zip(*seconds[TRAINERS[0]], strict=True)]
            for trainer, found in seconds.items():
                walls, cpus = zip(*found, strict=True)
                speeds = [f"{rows / s:,.0f}" for s in (max(walls), min(walls))]
                wall, cpu = statistics.median(walls), statistics.median(cpus)
                print(
                    f"| {kind} | {batch} | {STEPS[kind, batch]} | {trainer} | {rows / wall:,.0f} "
                    f"({'–'.join(speeds)}) | {base[0] / wall:.2f} | {base[1] / cpu:.2f} |",
                    flush=True,
                )


def run(trainer: str, folder: Path, kind: str, batch: int, threads: int) -> Seconds:
    """Return the seconds that one process took to train."""
    command = [sys.executable, __file__, "--one", trainer, str(folder), kind, str(batch)]
    command += ["--threads", str(threads)]
    environment = {**os.environ, "OMP_WAIT_POLICY": "PASSIVE"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise SystemExit(f"{trainer} failed:\n{done.stderr}")
    wall, cpu = json.loads(done.stdout.splitlines()[-1])
    return wall, cpu


def prepare(folder: Path, sentences: Path) -> None:
    """Write the pairs, each a sentence and the same without some words, and both encoders."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding  # also in versions before 6
    from tokenizers import Tokenizer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from pairsmith.commands.main import main as pairsmith
    from pairsmith.schemas import open_dataset
    from pairsmith.training.streaming.corpus import StreamConfig, shard_files
    from pairsmith.training.streaming.row_groups import row_groups
    from pairsmith.training.tokens.tokenizer import train_tokenizer

    texts = pq.read_table(sentences, columns=["text"])["text"].slice(0, PAIRS)
    pq.write_table(pa.table({"text": texts}), folder / "texts.parquet")
    made = ["--input", str(folder / "texts.parquet"), "--output", str(folder / "pairs")]
    if pairsmith(["build", "dropout", *made]):
        raise SystemExit("the pairs were not built")
    groups = row_groups(shard_files(open_dataset(folder / "pairs"), StreamConfig()))
    tokenizer = train_tokenizer(groups, 20_000, seed=1)
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=512,
    )
    BertModel(config).save_pretrained(folder / "bert")
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer.from_file(str(folder / "tokenizer.json")),
        **{f"{name}_token": token for name, token in SPECIAL.items()},
    ).save_pretrained(folder / "bert")
    static = StaticEmbedding(tokenizer, embedding_dim=256)
    SentenceTransformer(modules=[static], device="cpu").save(str(folder / "static"))


def theirs(folder: Path, kind: str, batch: int, threads: int) -> Seconds:
    """Return the seconds that sentence-transformers takes."""
    import torch
    from datasets import load_dataset
    from sentence_transformers import (
        SentenceTransformer,
        SentenceTransformerTrainer,
        SentenceTransformerTrainingArguments,
    )
    from sentence_transformers.losses import MultipleNegativesRankingLoss

    if threads:
        torch.set_num_threads(threads)
    model = SentenceTransformer(str(folder / kind), device="cpu")
    if kind == "bert":
        model.max_seq_length = 128
    arguments = SentenceTransformerTrainingArguments(
        output_dir=str(folder / "theirs"),
        per_device_train_batch_size=batch,
        max_steps=STEPS[kind, batch],
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    start = now()
    files = str(folder / "pairs" / "shards" / "*.parquet")
    data = load_dataset("parquet", data_files=files, split="train")
    data = data.select_columns(["anchor", "positive"])
    loss = MultipleNegativesRankingLoss(model)
    SentenceTransformerTrainer(model, arguments, train_dataset=data, loss=loss).train()
    return since(start)


def ours(folder: Path, kind: str, batch: int, threads: int) -> Seconds:
    """Return the seconds that pairsmith takes."""
    from transformers.models.bert import modeling_bert  # noqa: F401  as long as theirs to import

    from pairsmith.training.config import make_config
    from pairsmith.training.train import train

    tokenizer = folder / "tokenizer.json"
    with tempfile.TemporaryDirectory() as output:
        config = make_config(
            (folder / "pairs",),
            Path(output) / "model",
            model=f"static:{tokenizer}:256" if kind == "static" else str(folder / kind),
            batch_size=batch,
            steps=STEPS[kind, batch],
            negatives=0,
            threads=threads,
            curves=False,  # the other draws none either
            tensorboard=False,
        )
        start = now()
        train(config)
        return since(start)


def now() -> Seconds:
    """Return both clocks."""
    return time.perf_counter(), time.process_time()


def since(start: Seconds) -> Seconds:
    """Return the seconds since `start`, by both clocks."""
    wall, cpu = now()
    return wall - start[0], cpu - start[1]


if __name__ == "__main__":
    main()
