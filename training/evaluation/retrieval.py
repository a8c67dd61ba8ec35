"""How well an encoder finds the documents that answer a query, however many documents there are."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from pairsmith.schemas import require
from pairsmith.training.evaluation.gold import document_ids, documents, judgements
from pairsmith.training.evaluation.vectors import Encode, Vectors, unit

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
    import torch  # not with the module: commands read the settings of evaluations without it

    parts = torch.from_numpy(queries).split(QUERIES_AT_A_TIME)
    best = [(part.new_empty(len(part), 0), torch.empty(len(part), 0).long()) for part in parts]
    before = 0
    for chunk in map(torch.from_numpy, chunks):
        here = torch.arange(before, before + len(chunk))
        for number, (part, (scores, places)) in enumerate(zip(parts, best, strict=True)):
            found = torch.cat([scores, part @ chunk.T], dim=1)
            where = torch.cat([places, here.expand(len(part), -1)], dim=1)
            highest, index = found.topk(min(depth, found.shape[1]))
            best[number] = highest, where.gather(1, index)
        before += len(chunk)
    together = [torch.cat(found).numpy() for found in zip(*best, strict=True)]
    return together[0], together[1]
