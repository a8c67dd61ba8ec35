"""How good an encoder is: similarity, intents, retrieval. Anything that maps texts to vectors."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import UserError, require
from pairsmith.training.gold import intents, judgements, similarities

Vectors = npt.NDArray[np.float32]
Encode = Callable[[list[str]], Vectors]

SHOTS = 10
DRAWS = 5
INTENT_SEED = 7
DEPTH = 1000


@dataclass(frozen=True)
class Tasks:
    """What to evaluate on. `split` picks rows of similarity files that have such a column."""

    sts: tuple[Path, ...] = ()
    intent: tuple[Path, ...] = ()
    retrieval: tuple[Path, ...] = ()
    split: str = "dev"

    def __bool__(self) -> bool:
        return bool(self.sts or self.intent or self.retrieval)

    def check(self) -> None:
        """Read every file, so that what is wrong shows before a long run; raises UserError."""
        for paths in (self.sts, self.intent, self.retrieval):
            names = [path.resolve().stem for path in paths]
            if len(set(names)) < len(names):
                raise UserError(
                    f"two evaluation files share a name, so would their scores: {names}"
                )
        for path in self.sts:
            similarities(path, self.split)
        for path in self.intent:
            intents(path)
        for path in self.retrieval:
            judgements(path)


def evaluate(encode: Encode, tasks: Tasks) -> dict[str, float]:
    """Return every score by its name, such as `sts/stsb_en/spearman`.

    Raises UserError when a file is missing, cannot be read, lacks a column or has no rows.
    """
    scores = {}
    for path in tasks.sts:
        scores[f"sts/{path.stem}/spearman"] = sts(encode, path, tasks.split)
    for path in tasks.intent:
        scores[f"intent/{path.stem}/accuracy"] = intent(encode, path)
    for path in tasks.retrieval:
        for name, value in retrieval(encode, path).items():
            scores[f"retrieval/{path.resolve().name}/{name}"] = value
    return scores


def sts(encode: Encode, path: Path, split: str = "dev") -> float:
    """Return Spearman's correlation of cosine similarities with the column `score`, in [-1, 1].

    Columns: sentence1, sentence2, score; rows of `split` where there is a column of that name.
    """
    stats = require("scipy.stats", "train")
    left, right, gold = similarities(path, split)
    cosines = (unit(encode(left)) * unit(encode(right))).sum(1)
    return float(stats.spearmanr(cosines, gold).statistic)


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


def retrieval(encode: Encode, folder: Path) -> dict[str, float]:
    """Return nDCG@10, recall@10, recall@100 and the mean reciprocal rank, each in [0, 1].

    Files: one *docs*.parquet (doc_id, text, maybe title, put before the text), one
    *queries*.parquet (query_id, text), one *qrels*.parquet (query_id, doc_id, maybe relevance).
    The best 1,000 documents by cosine are ranked. Queries without a relevant document do not count.
    """
    trec = require("pytrec_eval", "train")
    documents, queries, qrels = judgements(folder)
    ids = list(documents)
    found = _search(unit(encode(list(queries.values()))), unit(encode(list(documents.values()))))
    run = {
        query: {ids[i]: float(s) for i, s in zip(rows, scores, strict=True)}
        for query, (rows, scores) in zip(queries, found, strict=True)
    }
    measures = {"ndcg_cut_10": "ndcg@10", "recall_10": "recall@10"}
    measures |= {"recall_100": "recall@100", "recip_rank": "mrr"}
    evaluator = trec.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.10,100", "recip_rank"})
    results = evaluator.evaluate(run).values()
    return {name: float(np.mean([r[key] for r in results])) for key, name in measures.items()}


def unit(vectors: npt.NDArray[Any]) -> Vectors:
    """Return rows at length 1, float32; zero rows stay zero."""
    rows: Vectors = np.asarray(vectors, np.float32)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True).astype(np.float32)
    result: Vectors = rows / np.maximum(lengths, np.float32(1e-12))
    return result


def _nearest_accuracy(
    vectors: Vectors, labels: npt.NDArray[np.int64], rng: np.random.Generator
) -> float:
    order = rng.permutation(len(labels))
    by_label = order[np.argsort(labels[order], kind="stable")]
    counts = np.bincount(labels)
    rank = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    shown = rank < np.repeat(np.clip(counts - 1, 1, SHOTS), counts)
    shots, queries = by_label[shown], by_label[~shown]
    nearest = (vectors[queries] @ vectors[shots].T).argmax(1)
    return float((labels[shots[nearest]] == labels[queries]).mean())


def _search(
    queries: Vectors, docs: Vectors
) -> Iterable[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
    for start in range(0, len(queries), 256):
        for row in queries[start : start + 256] @ docs.T:
            best = np.argsort(-row, kind="stable")[:DEPTH]
            yield best, row[best]
