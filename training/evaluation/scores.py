"""How good an encoder is: similarity, intents, pairs, translations, retrieval."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import UserError, require
from pairsmith.schemas.dataset import sha256_file
from pairsmith.training.end_to_end import row_places
from pairsmith.training.evaluation.bitext import bitext, bitext_measures
from pairsmith.training.evaluation.gold import (
    intents,
    judgements,
    labelled_pairs,
    retrieval_files,
    similarities,
    translations,
)
from pairsmith.training.evaluation.retrieval import MEASURES, retrieval
from pairsmith.training.evaluation.vectors import Encode, Vectors, unit
from pairsmith.training.settings import AtLeast, AtMost, Free

SHOTS = 10
DRAWS = 5
INTENT_SEED = 7
KINDS = ("sts", "pairs", "intent", "bitext", "retrieval")


@dataclass(frozen=True)
class Tasks:
    """What to evaluate on. Files are .parquet, .csv, .tsv or .jsonl."""

    sts: Annotated[tuple[Path, ...], Free()] = ()
    """Similarity files: columns sentence1, sentence2, score. Spearman's correlation."""
    pairs: Annotated[tuple[Path, ...], Free()] = ()
    """Paraphrase files: columns sentence1, sentence2, label (1 or 0). Average precision, AUC."""
    split: Annotated[str, Free()] = "dev"
    """In similarity and paraphrase files with a column `split`, the rows to score."""
    intent: Annotated[tuple[Path, ...], Free()] = ()
    """Classification files: columns text, label. Accuracy of the nearest of 10 texts a label."""
    bitext: Annotated[tuple[Path, ...], Free()] = ()
    """Translation files: two columns named by languages, as en, zh. Accuracy both ways."""
    retrieval: Annotated[tuple[Path, ...], Free()] = ()
    """Folders with *docs*, *queries*, *qrels* Parquet files. nDCG@10, recall, MRR."""

    def __bool__(self) -> bool:
        return any(getattr(self, kind) for kind in KINDS)

    def check_files(self) -> None:
        """Read every file, so that what is wrong shows before a long run; raises UserError."""
        for kind in KINDS:
            names = [_name(path) for path in getattr(self, kind)]
            if len(set(names)) < len(names):
                raise UserError(
                    f"two evaluation files share a name, so would their scores: {names}"
                )
        for path in self.sts:
            similarities(path, self.split)
        for path in self.pairs:
            labelled_pairs(path, self.split)
        for path in self.intent:
            intents(path)
        for path in self.bitext:
            translations(path)
        for path in self.retrieval:
            judgements(path)

    def score_names(self) -> list[str]:
        """Return what the scores that `evaluate` returns will be called."""
        measures: dict[str, tuple[str, ...]] = {
            **{"sts": ("spearman",), "pairs": ("ap", "auc"), "intent": ("accuracy",)},
            "retrieval": tuple(MEASURES.values()),
        }
        return [
            f"{kind}/{_name(path)}/{measure}"
            for kind in KINDS
            for path in getattr(self, kind)
            for measure in (bitext_measures(path) if kind == "bitext" else measures[kind])
        ]

    def digests(self) -> dict[str, list[str]]:
        """Return the sha256 of the files of each evaluation, by the name of file or folder."""
        return {
            f"{kind}/{_name(path)}": _digests(kind, path)
            for kind in KINDS
            for path in getattr(self, kind)
        }

    def check_score(self, option: str, score: str) -> None:
        """Raise UserError when no score is called what an option names."""
        names = self.score_names()
        if score not in names:
            have = ", ".join(names) or "none; give --sts, --intent or --retrieval"
            raise UserError(f"{option} {score} is not among the evaluations, which are: {have}")


@dataclass(frozen=True)
class EvaluationConfig(Tasks):
    """What a run is evaluated on, how often, and how strictly kept from its data."""

    evaluate_every: Annotated[int, AtLeast(0), Free()] = 0
    """Steps between evaluations; 0: a fifth of the run."""
    stop_on: str = ""
    """Evaluation to watch, such as sts/stsb_en/spearman; empty: none."""
    patience: Annotated[int, AtLeast(0)] = 3
    """Stop when the watched evaluation was no better for this many in a row; 0: never."""
    keep: Literal["best", "last"] = "best"
    """Which weights are the result when an evaluation is watched: its best ones, or the last."""
    leak_check: Annotated[bool, Free()] = True
    """Look for the evaluation files' texts among the pairs before the first step."""
    allow_leaks: Annotated[float, AtLeast(0), AtMost(1), Free()] = 0.001
    """Highest share of a file's texts that may be among the pairs; above it, nothing is trained."""

    def check_files(self) -> None:
        """Read every file, and look for the score to watch; raises UserError."""
        super().check_files()
        if self.stop_on:
            self.check_score("--stop-on", self.stop_on)

    def watched(self) -> dict[str, Any]:
        """Return what the scores that `stop_on` watches follow from: the files, by their sha256."""
        if not self.stop_on:
            return {}
        kind, name, _ = self.stop_on.split("/", 2)
        (path,) = (path for path in getattr(self, kind) if _name(path) == name)
        return {"evaluation": _digests(kind, path), "split": self.split}


def evaluate(encode: Encode, tasks: Tasks) -> dict[str, float]:
    """Return every score by its name, such as `sts/stsb_en/spearman`.

    Raises UserError when a file is missing, cannot be read, lacks a column or has no rows.
    """
    scores = {}
    for path in tasks.sts:
        scores[f"sts/{_name(path)}/spearman"] = sts(encode, path, tasks.split)
    for path in tasks.pairs:
        for name, value in pair_classification(encode, path, tasks.split).items():
            scores[f"pairs/{_name(path)}/{name}"] = value
    for path in tasks.intent:
        scores[f"intent/{_name(path)}/accuracy"] = intent(encode, path)
    for path in tasks.bitext:
        for name, value in bitext(encode, path).items():
            scores[f"bitext/{_name(path)}/{name}"] = value
    for path in tasks.retrieval:
        for name, value in retrieval(encode, path).items():
            scores[f"retrieval/{_name(path)}/{name}"] = value
    return scores


def _digests(kind: str, path: Path) -> list[str]:
    files = retrieval_files(path) if kind == "retrieval" else [path]
    return [sha256_file(file) for file in files]


def _name(path: Path) -> str:
    """Return what the scores of a file or folder are called."""
    return path.resolve().name if path.is_dir() else path.stem


def sts(encode: Encode, path: Path, split: str = "dev") -> float:
    """Return Spearman's correlation of cosine similarities with the column `score`, in [-1, 1].

    Columns: sentence1, sentence2, score; rows of `split` where there is a column of that name.
    """
    stats = require("scipy.stats", "train")
    left, right, gold = similarities(path, split)
    return float(stats.spearmanr(_cosines(encode, left, right), gold).statistic)


def pair_classification(encode: Encode, path: Path, split: str = "dev") -> dict[str, float]:
    """Return how well cosines tell paraphrases from other pairs: average precision and ROC AUC.

    Columns: sentence1, sentence2, label (1 is a paraphrase); rows of `split` where there is a
    column of that name. Average precision is what MTEB ranks pair classification by; a coin gets
    the share of paraphrases. A coin's AUC is 0.5.
    """
    metrics = require("sklearn.metrics", "train")
    left, right, gold = labelled_pairs(path, split)
    cosines = _cosines(encode, left, right)
    return {
        "ap": float(metrics.average_precision_score(gold, cosines)),
        "auc": float(metrics.roc_auc_score(gold, cosines)),
    }


def _cosines(encode: Encode, left: list[str], right: list[str]) -> Vectors:
    cosines: Vectors = (unit(encode(left)) * unit(encode(right))).sum(1)
    return cosines


def intent(encode: Encode, path: Path) -> float:
    """Return the accuracy of the nearest of 10 examples of each label, in [0, 1].

    Columns: text, label. 10 texts of each label are drawn, fewer where a label has not more than
    10, so that one is left; all others are classified by their most similar drawn text. The mean
    of 5 draws, by a fixed seed.
    """
    texts, labels = intents(path)
    vectors = unit(encode(texts))
    rng = np.random.default_rng(INTENT_SEED)
    return float(np.mean([_nearest_accuracy(vectors, labels, rng) for _ in range(DRAWS)]))


def _nearest_accuracy(
    vectors: Vectors, labels: npt.NDArray[np.int64], rng: np.random.Generator
) -> float:
    order = rng.permutation(len(labels))
    by_label = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    shown = row_places(counts) < np.repeat(np.clip(counts - 1, 1, SHOTS), counts)
    shots, queries = by_label[shown], by_label[~shown]
    nearest = (vectors[queries] @ vectors[shots].T).argmax(1)
    return float((labels[shots[nearest]] == labels[queries]).mean())
