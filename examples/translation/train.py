"""Train a small Marian translation model on parallel text.

    python examples/translation/train.py parallel.parquet en fr OUT --minutes 30
    python examples/translation/train.py parallel.parquet fr en BACK --pieces OUT --minutes 30

On a GPU in bfloat16, on a CPU in float32. OUT is a folder that transformers loads and CTranslate2
converts: the pad row stays zero. A thousand source sentences are kept out for score.py. Tried on a
CPU for a few hundred steps, to see that the loss falls, that the folder loads and that both engines
translate alike with it; not yet trained to the end, and not on a GPU.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import sentencepiece
import torch
import tyro
from parallel_text import Pair, held_out, read_pairs
from transformers import MarianConfig, MarianMTModel

Row = tuple[list[int], list[int]]
END, UNKNOWN = 0, 1


@dataclass(frozen=True)
class Train:
    """What to train, on what, for how long."""

    parquet: Annotated[Path, tyro.conf.Positional]
    """Parallel text."""
    source: Annotated[str, tyro.conf.Positional]
    target: Annotated[str, tyro.conf.Positional]
    """Columns to translate from and into."""
    output: Annotated[Path, tyro.conf.Positional]
    pieces: Path | None = None
    """A folder whose pieces to use, as that of the model for the other direction."""
    vocabulary: int = 8000
    width: int = 256
    encoder_layers: int = 4
    decoder_layers: int = 2
    """Two decode nearly as well as six, at twice the speed (arXiv 2006.10369)."""
    minutes: float = 60.0
    """The rate falls to zero at the end of them, or of `steps`."""
    steps: int = 100_000
    batch_tokens: int = 8192
    rate: float = 1e-3
    warm_up: int = 1000
    held_out: int = 1000
    """Source sentences that are not trained on."""
    seed: int = 1


def main(train: Train) -> None:
    """Learn pieces, train, save."""
    torch.manual_seed(train.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    pairs = read_pairs(train.parquet, train.source, train.target)
    kept = held_out(pairs, train.held_out)
    pairs = [pair for pair in pairs if pair[0] not in kept]
    pad = write_pieces(train, pairs)
    rows = encode(train.output, pairs)
    model = make_model(train, pad).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.01)
    start = model.get_input_embeddings().weight
    losses: list[float] = []
    began = time.monotonic()
    print(f"{len(rows)} pairs, {sum(p.numel() for p in model.parameters()):,} weights, {device}")
    for step, batch in enumerate(batches(rows, train.batch_tokens, train.seed), 1):
        done = max(step / train.steps, (time.monotonic() - began) / 60 / train.minutes)
        rise = min(1.0, step / train.warm_up)
        for group in optimizer.param_groups:
            group["lr"] = train.rate * rise * max(0.0, 1 - done)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss = loss_of(model, batch, pad, device)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            # The output layer shares this matrix and would move the row that decoding starts from.
            start[pad] = 0
        losses.append(loss.item())
        if step % 100 == 0 or done >= 1:
            print(f"step {step}  {done:.0%}  loss {np.mean(losses[-100:]):.3f}", flush=True)
        if done >= 1:
            break
    model.half().save_pretrained(train.output)


def write_pieces(train: Train, pairs: list[Pair]) -> int:
    """Write sentencepiece models and vocab.json into the output folder; return the pad's id."""
    train.output.mkdir(parents=True, exist_ok=True)
    source = train.output / "source.spm"
    if train.pieces:
        # Pieces are of both languages: those of one model serve both directions.
        shutil.copyfile(train.pieces / "source.spm", source)
    else:
        with source.open("wb") as stream:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=(text for pair in pairs for text in pair),
                model_writer=stream,
                vocab_size=train.vocabulary,
                character_coverage=0.9995,
                minloglevel=2,
            )
    shutil.copyfile(source, train.output / "target.spm")
    processor = sentencepiece.SentencePieceProcessor(model_file=str(source))
    special = {processor.unk_id(), processor.bos_id(), processor.eos_id()}
    learned = [processor.id_to_piece(n) for n in range(len(processor)) if n not in special]
    vocabulary = ["</s>", "<unk>", *learned, "<pad>"]
    ids = {piece: number for number, piece in enumerate(vocabulary)}
    (train.output / "vocab.json").write_text(json.dumps(ids, ensure_ascii=False), "utf-8")
    tokenizer = {"tokenizer_class": "MarianTokenizer", "model_max_length": 256}
    tokenizer |= {"source_lang": train.source, "target_lang": train.target}
    (train.output / "tokenizer_config.json").write_text(json.dumps(tokenizer), "utf-8")
    return ids["<pad>"]


def encode(folder: Path, pairs: list[Pair]) -> list[Row]:
    """Return pairs as ids, the end mark last; those that the model could not read left out."""
    ids = json.loads((folder / "vocab.json").read_text("utf-8"))
    processor = sentencepiece.SentencePieceProcessor(model_file=str(folder / "source.spm"))
    sides = [
        [
            [*(ids.get(piece, UNKNOWN) for piece in pieces), END]
            for pieces in processor.encode([pair[side] for pair in pairs], out_type=str)
        ]
        for side in (0, 1)
    ]
    rows = zip(*sides, strict=True)
    return [(ours, theirs) for ours, theirs in rows if max(len(ours), len(theirs)) <= 250]


def make_model(train: Train, pad: int) -> MarianMTModel:
    """Return a model of random weights; the row of the pad, which decoding starts from, is zero."""
    config = MarianConfig(
        vocab_size=pad + 1,
        d_model=train.width,
        encoder_layers=train.encoder_layers,
        decoder_layers=train.decoder_layers,
        encoder_attention_heads=max(1, train.width // 64),
        decoder_attention_heads=max(1, train.width // 64),
        encoder_ffn_dim=4 * train.width,
        decoder_ffn_dim=4 * train.width,
        activation_function="swish",
        dropout=0.1,
        max_position_embeddings=256,
        scale_embedding=True,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        eos_token_id=END,
        forced_eos_token_id=END,
    )
    model = MarianMTModel(config).train()
    model.generation_config.bad_words_ids = [[pad]]
    # Embeddings are multiplied by sqrt(width): of this size they start out at 1.
    torch.nn.init.normal_(model.get_input_embeddings().weight, std=train.width**-0.5)
    with torch.no_grad():
        model.get_input_embeddings().weight[pad] = 0
    return model


def batches(rows: list[Row], tokens: int, seed: int) -> Iterator[list[Row]]:
    """Yield batches of rows of like length, without end; each epoch in another order."""
    rng = np.random.default_rng(seed)
    sizes = np.array([max(map(len, row)) for row in rows])
    while True:
        cut: list[list[Row]] = [[]]
        for at in np.lexsort([rng.random(len(rows)), sizes]):
            if cut[-1] and (len(cut[-1]) + 1) * sizes[at] > tokens:
                cut.append([])
            cut[-1].append(rows[at])
        yield from (cut[at] for at in rng.permutation(len(cut)))


def loss_of(model: MarianMTModel, batch: list[Row], pad: int, device: torch.device) -> torch.Tensor:
    """Return the cross-entropy per target token, a tenth of the label spread over all pieces."""
    inputs, targets = (
        torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row[side]) for row in batch], batch_first=True, padding_value=pad
        ).to(device)
        for side in (0, 1)
    )
    decoder = torch.cat([torch.full_like(targets[:, :1], pad), targets[:, :-1]], 1)
    logits = model(
        input_ids=inputs, attention_mask=inputs.ne(pad).long(), decoder_input_ids=decoder
    ).logits
    logits = logits[..., :pad].float().flatten(0, 1)  # the pad is never an output
    labels = targets.masked_fill(targets.eq(pad), -100).flatten()
    return torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)


if __name__ == "__main__":
    main(tyro.cli(Train, description=__doc__))
