"""Makes `corpus/` and `eval/` from larger public data: `python examples/demo/prepare.py DATA`.

Run once; the results are committed, with their sources in SOURCES.md. Every choice below was made
before any model was evaluated, and depends on the texts alone:

- samples are the records with the smallest keys under SEED: no order of files or rows matters;
- a paraphrase pair is two Tatoeba sentences with a translation in common. Pairs that share more
  than half of their words (Chinese: two thirds of their characters) are left out, since matching
  words would find them, and sentences shorter than five words (Chinese: six characters), since
  they mean too much;
- a retrieval query has at least one paraphrase among the documents and is itself no document;
  documents that share a translation with a query but are no such pair are taken out;
- nothing in `eval/` occurs in the corpus, compared by letters and digits alone.
"""

import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pairsmith.schemas import record_keys
from pairsmith.schemas.keys import normalise

SEED = 17
HERE = Path(__file__).parent
DIALOGUES, SPEECHES, NOVELS = 4_000, 200, 140
QUERIES, DOCUMENTS = 1_000, 5_000
QUESTIONS_PER_INTENT = 30
CONTRACTIONS = [
    ("can't", "cannot"),
    ("won't", "will not"),
    ("n't", " not"),
    ("'m", " am"),
    ("'re", " are"),
    ("'s", " is"),
    ("'ll", " will"),
    ("'ve", " have"),
]
SENTENCE_ENDS = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")


@dataclass(frozen=True)
class Language:
    """How texts of a language are compared, and which are worth asking for."""

    words: Callable[[str], set[str]]
    fits: Callable[[str], bool]
    overlap: float
    """Pairs that share a larger part of their words are no paraphrases here."""


def main(data: Path) -> None:
    """Write every file of the demo."""
    corpus = {
        "dialogues_en": sample(data / "corpus/sgd_dialogues_en.parquet", DIALOGUES),
        "speeches_en": sample(data / "corpus/fed_documents_en.parquet", SPEECHES),
        "novels_en": sample(data / "corpus/novels_documents_en.parquet", NOVELS),
        "help_zh": help_pages(data / "parallel/libreoffice_help_en_zh.parquet"),
    }
    for name, documents in corpus.items():
        lang = pa.array([name[-2:]] * len(documents))
        documents = documents.append_column("lang", lang)
        save(documents, HERE / "corpus" / f"{name}.parquet", row_group_size=100)
    seen = {key for documents in corpus.values() for key in sentence_keys(documents["text"])}

    english = Language(lambda text: set(words(text)), lambda text: len(words(text)) >= 5, 1 / 2)
    chinese = Language(lambda text: set(letters(text)), simplified, 2 / 3)
    for name, file, language in [
        ("paraphrases_en", "tatoeba_en_fr", english),
        ("paraphrases_zh", "tatoeba_en_zh", chinese),
    ]:
        # The language asked about first, then the one whose sentences join it.
        columns = ("en", "fr") if name.endswith("en") else ("zh", "en")
        table = pq.read_table(data / "parallel" / f"{file}.parquet")
        pairs = zip(*(table[column].to_pylist() for column in columns), strict=True)
        retrieval(HERE / "eval" / name, pairs, language, seen)
    save(
        intents(pq.read_table(data / "eval/banking77_train_en.parquet"), seen),
        HERE / "eval" / "intents_en.parquet",
    )


def sample(file: Path, count: int) -> pa.Table:
    """Return `count` documents of a file, drawn by key, in the order of their ids."""
    table = pq.read_table(file, columns=["doc_id", "text"])
    return table.take(drawn(table["doc_id"].to_pylist(), count)).sort_by("doc_id")


def help_pages(file: Path) -> pa.Table:
    """Return one document a page: its Chinese paragraphs in order, one a line."""
    table = pq.read_table(file, columns=["page", "zh"])
    pages: defaultdict[str, list[str]] = defaultdict(list)
    for page, paragraph in zip(*(column.to_pylist() for column in table), strict=True):
        pages[page].append(" ".join(paragraph.split()))
    return pa.table(
        {"doc_id": sorted(pages), "text": ["\n".join(pages[page]) for page in sorted(pages)]}
    )


def retrieval(
    folder: Path, pairs: Iterable[tuple[str, str]], language: Language, seen: set[str]
) -> None:
    """Write documents, queries and relevance of one language's paraphrases."""
    texts, translations, readings = one_of_each(pairs, language, seen)
    queries: list[str] = []
    relevant: dict[str, list[str]] = {}
    documents: set[str] = set()
    unclear: set[str] = set()
    for text in ordered(texts):
        if len(queries) == QUERIES:
            break
        related = {r for t in translations[text] for r in readings[t]} - {text}
        good = sorted(r for r in related if paraphrases(text, r, language))
        # A sentence plays one role only: query, document, or too near to a query to be either.
        if not good or text in documents or text in unclear or related & set(queries):
            continue
        if (related - set(good)) & documents or set(good) & unclear:
            continue
        queries.append(text)
        relevant[text] = good
        documents.update(good)
        unclear.update(related - set(good))
    for text in ordered(texts):
        if len(documents) >= DOCUMENTS:
            break
        if text not in relevant and text not in unclear:
            documents.add(text)
    number = {text: f"d{n}" for n, text in enumerate(ordered(documents))}
    found = [(f"q{n}", number[d]) for n, q in enumerate(queries) for d in relevant[q]]
    save(
        pa.table({"doc_id": list(number.values()), "text": list(number)}),
        folder / "docs.parquet",
    )
    ids = [f"q{n}" for n in range(len(queries))]
    save(pa.table({"query_id": ids, "text": queries}), folder / "queries.parquet")
    save(
        pa.table({"query_id": [q for q, _ in found], "doc_id": [d for _, d in found]}),
        folder / "qrels.parquet",
    )


def one_of_each(
    pairs: Iterable[tuple[str, str]], language: Language, seen: set[str]
) -> tuple[list[str], dict[str, set[str]], dict[str, set[str]]]:
    """Return sentences, the translations of each, and the sentences of each translation.

    Of sentences that differ in case, spacing or punctuation alone, the first in order stays, with
    the translations of all.
    """
    chosen: dict[str, str] = {}
    translations: defaultdict[str, set[str]] = defaultdict(set)
    readings: defaultdict[str, set[str]] = defaultdict(set)
    for text, translation in sorted(pairs):
        key = letters(text)
        if key and key not in seen and language.fits(text):
            text = chosen.setdefault(key, text)
            translations[text].add(letters(translation))
            readings[letters(translation)].add(text)
    return sorted(translations), translations, readings


def paraphrases(text: str, other: str, language: Language) -> bool:
    """Return whether two texts share no more of all their words than the language allows."""
    a, b = language.words(text), language.words(other)
    return len(a & b) <= language.overlap * len(a | b)


def intents(table: pa.Table, seen: set[str]) -> pa.Table:
    """Return questions with their intent, the same number for each."""
    by_label: defaultdict[str, list[str]] = defaultdict(list)
    once = dict(zip(map(letters, table["text"].to_pylist()), table.to_pylist(), strict=True))
    for row in once.values():
        if letters(row["text"]) not in seen:
            by_label[row["label"]].append(" ".join(row["text"].split()))
    rows = [
        (text, label)
        for label, texts in by_label.items()
        for text in ordered(texts)[:QUESTIONS_PER_INTENT]
    ]
    label = dict(rows)
    return pa.table({"text": ordered(label), "label": [label[text] for text in ordered(label)]})


def sentence_keys(texts: pa.ChunkedArray) -> Iterable[str]:
    """Yield the letters of every line of the corpus and of every sentence in a line."""
    for text in texts.to_pylist():
        for line in text.split("\n"):
            yield letters(line)
            yield from map(letters, SENTENCE_ENDS.split(line))


def letters(text: str) -> str:
    """Return the letters and digits of a text, normalised: punctuation does not count."""
    return "".join(words(text))


def words(text: str) -> list[str]:
    """Return the words of a normalised text, contractions written out."""
    plain = normalise(pa.array([text]))[0].as_py().replace("’", "'")
    for short, long in CONTRACTIONS:
        plain = plain.replace(short, long)
    return re.findall(r"\w+", plain)


def simplified(text: str) -> bool:
    """Return whether a Chinese text has six letters and is written in simplified characters.

    GB 2312 has only these; two scripts of one sentence would be no paraphrase.
    """
    try:
        text.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return len(letters(text)) >= 6


def ordered(texts: Iterable[str]) -> list[str]:
    """Return texts by their random keys: the same order on every machine."""
    unordered = sorted(texts)
    return [unordered[i] for i in drawn(unordered, len(unordered))]


def drawn(ids: list[str], count: int) -> list[int]:
    """Return the positions of the `count` smallest keys."""
    keys = record_keys(SEED, pa.array(ids, pa.string()), np.zeros(len(ids), np.int32), "demo", 0)
    return [int(i) for i in np.argsort(keys, kind="stable")[:count]]


def save(table: pa.Table, path: Path, row_group_size: int | None = None) -> None:
    """Write a table as small as Parquet makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        table, path, compression="zstd", compression_level=22, row_group_size=row_group_size
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
