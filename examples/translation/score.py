"""BLEU and chrF of a translation model on sentences that train.py keeps out of training.

    python examples/translation/score.py parallel.parquet en fr MODEL --engine ctranslate2

A model that something else trained may have seen them: its score is then no measure of how it does
on new text, but two engines or compute types can still be compared.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import sacrebleu
import tyro
from parallel_text import held_out, read_pairs

from pairsmith.augmenters.translation import Decoding, Model
from pairsmith.schemas import UserError


@dataclass(frozen=True)
class Score:
    """What to score, and on what."""

    parquet: Annotated[Path, tyro.conf.Positional]
    """Parallel text."""
    source: Annotated[str, tyro.conf.Positional]
    """Column of the sentences to translate."""
    target: Annotated[str, tyro.conf.Positional]
    """Column of their translations by people."""
    model: Annotated[str, tyro.conf.Positional]
    """Folder of a Marian checkpoint or of a CTranslate2 model, or a name on the hub."""
    engine: str = "ctranslate2"
    """ctranslate2 or transformers."""
    compute_type: str = "auto"
    """For ctranslate2: int8, float16, float32 …"""
    device: str = "auto"
    """auto, cpu or cuda."""
    threads: int = 0
    """0 for all cores."""
    beam: int = 1
    """1 is greedy search."""
    sentences: int = 1000
    """So many source sentences, with all their translations as references."""


def main(score: Score) -> None:
    """Translate, score, print a line for each figure."""
    references = held_out(read_pairs(score.parquet, score.source, score.target), score.sentences)
    sentences = list(references)
    model = Model(score.model, score.engine, score.device, score.compute_type, score.threads)  # type: ignore[arg-type]
    translator = model.translator()
    translator.translate(sentences[:8], Decoding(score.beam), [0] * 8)
    began = time.perf_counter()
    made = translator.translate(sentences, Decoding(score.beam), [0] * len(sentences))
    seconds = time.perf_counter() - began
    most = max(map(len, references.values()))
    # sacrebleu takes a list for each reference; sentences that have fewer get None.
    columns = [
        [texts[number] if number < len(texts) else None for texts in references.values()]
        for number in range(most)
    ]
    tokenize = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}.get(score.target, "13a")
    bleu = sacrebleu.corpus_bleu(made.texts, columns, tokenize=tokenize)
    chrf = sacrebleu.corpus_chrf(made.texts, columns)
    print(f"{score.model}, {score.engine}, {model.computes_in()}, beam {score.beam}")
    print(f"{len(sentences)} sentences of {score.source} to {score.target}")
    print(f"BLEU {bleu.score:.1f}  chrF {chrf.score:.1f}  ended by limit {made.whole.count(False)}")
    print(f"{len(sentences) / seconds:.0f} sentences/s  {sum(made.tokens) / seconds:.0f} tokens/s")


if __name__ == "__main__":
    try:
        main(tyro.cli(Score, description=__doc__))
    except UserError as error:
        raise SystemExit(f"score.py: {error}") from None
