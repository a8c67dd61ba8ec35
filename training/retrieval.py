"""How well an encoder finds the documents that answer a query, however many documents there are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import require
from pairsmith.training.gold import document_ids, documents, judgements
from pairsmith.training.vectors import Encode, Vectors, unit

MEASURES = {
    **{"ndcg_cut_10": "ndcg@10", "recall_10": "recall@10"},
    **{"recall_100": "recall@100", "recip_rank": "mrr"},
}
"""What trec_eval's measures are called here."""
DEPTH = 1000
QUERIES_AT_A_TIME = 512

Ids = npt.NDArray[np.int64]


def retrieval(encode: Encode, folder: Path) -> dict[str, float]:
    """Return nDCG@10, recall@10, recall@100 and the mean reciprocal rank, each in [0, 1].

    Files: one *docs*.parquet (doc_id, text, maybe title, put before the text), one
    *queries*.parquet (query_id, text), one *qrels*.parquet (query_id, doc_id, maybe relevance).
    The best 1,000 documents by cosine are ranked. Queries without a relevant document do not count.
    Documents are read, encoded and forgotten 4,096 at a time: what is held grows with the queries.
    """
    trec = require("pytrec_eval", "train")
    queries, qrels = judgements(folder)
    asked = unit(encode(list(queries.values())))
    scores, places = search(asked, (unit(encode(texts)) for texts in documents(folder)), DEPTH)
    ids = document_ids(folder, np.unique(places))
    run: dict[str, dict[str, float]] = {}
    for query, values, rows in zip(queries, scores.tolist(), places.tolist(), strict=True):
        found = run[query] = {}
        for value, row in zip(values, rows, strict=True):
            found.setdefault(ids[row], value)  # the best score of a document that stands twice
    evaluator = trec.RelevanceEvaluator(qrels, {"ndcg_cut.10", "recall.10,100", "recip_rank"})
    results = evaluator.evaluate(run).values()
    return {name: float(np.mean([r[key] for r in results])) for key, name in MEASURES.items()}


def search(queries: Vectors, chunks: Iterable[Vectors], depth: int) -> tuple[Vectors, Ids]:
    """Return the highest inner products of each query, falling, and the places of these vectors.

    queries: (Q, D). chunks: the searched vectors, (n, D) each; places count through them all.
    Both results have shape (Q, min(depth, number of vectors)).
    """
    scores = np.empty((len(queries), 0), np.float32)
    places = np.empty((len(queries), 0), np.int64)
    before = 0
    for chunk in chunks:
        kept = min(depth, scores.shape[1] + len(chunk))
        next_scores = np.empty((len(queries), kept), np.float32)
        next_places = np.empty((len(queries), kept), np.int64)
        for start in range(0, len(queries), QUERIES_AT_A_TIME):
            rows = slice(start, start + QUERIES_AT_A_TIME)
            found = np.concatenate([scores[rows], queries[rows] @ chunk.T], axis=1)
            here = np.broadcast_to(before + np.arange(len(chunk)), (len(found), len(chunk)))
            where = np.concatenate([places[rows], here], axis=1)
            best = np.argpartition(-found, kept - 1, axis=1)[:, :kept]
            next_scores[rows] = np.take_along_axis(found, best, 1)
            next_places[rows] = np.take_along_axis(where, best, 1)
        scores, places, before = next_scores, next_places, before + len(chunk)
    order = np.lexsort((places, -scores), axis=1)
    return np.take_along_axis(scores, order, 1), np.take_along_axis(places, order, 1)
