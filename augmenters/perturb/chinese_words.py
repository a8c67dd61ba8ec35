"""Words and clauses of a Chinese text, with their parts of speech, by rjieba."""

import re
from functools import cache
from importlib import resources
from typing import NamedTuple

from pairsmith.augmenters.perturb.chinese_characters import SIMPLIFIED, TRADITIONAL
from pairsmith.schemas import require


class Word(NamedTuple):
    """A word of a text: `text[start:stop]`, which may be traditional."""

    start: int
    stop: int
    text: str
    """In simplified characters."""
    tag: str
    """Part of speech, as jieba tags: v, n, r, d, a, m, p, …; x for words it does not know."""


NO_WORD = Word(-1, -1, "", "x")
"""What stands before the first word of a clause and after the last."""


class Clause(NamedTuple):
    """A run of words without punctuation: quoted names are one noun, brackets are left out."""

    words: tuple[Word, ...]
    end: str
    """The sign that ends it; "" for the end of the text, " " for white space in Chinese."""
    sentence: str
    """The sentence around it, in simplified characters."""

    @property
    def text(self) -> str:
        """Return its words, joined; of quoted names the quotation marks."""
        quoted = (word.text[0] in "《「『“" for word in self.words)
        return "".join(
            word.text[0] + word.text[-1] if aside else word.text
            for word, aside in zip(self.words, quoted, strict=True)
        )


@cache
def listed(name: str) -> frozenset[str]:
    """Return the words of a list of `data/words_zh.txt`."""
    return frozenset(_lists()[name])


@cache
def paired(name: str) -> dict[str, str]:
    """Return what stands for what in a list of `data/words_zh.txt`."""
    return dict(pair.split(":", 1) for pair in _lists()[name])


@cache
def _lists() -> dict[str, list[str]]:
    file = resources.files("pairsmith.augmenters") / "data" / "words_zh.txt"
    lists: dict[str, list[str]] = {}
    for line in file.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            name, *words = line.split()
            lists.setdefault(name, []).extend(words)
    return lists


_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_GLUED = re.compile(
    "(我|你|他|她|它|您)(?![们国人家好俩市省方妈爸]).{1,2}|([这那])是|(很|非常)(?![多少快久]).{1,3}"
    "|(没)(?![有事人用钱电空什关能法收落错准完想得多]).+|(不太|不怎么).+|(请)[别勿].*|(非)空"
)
"""What rjieba takes for one word, and what the first word of it is."""
_TAGS = {
    "很": "d",
    "非常": "d",
    "您": "r",
    "不太": "d",
    "不怎么": "d",
    "没": "v",
    "请": "v",
    "非": "h",
}


def words_of(text: str) -> list[Word]:
    """Return the words of a text, none left out; [] for Japanese, which looks Chinese in part.

    Raises UserError when rjieba is not installed.
    """
    if _KANA.search(text):
        return []
    tagged = require("rjieba", extra="build").tag
    words: list[Word] = []
    at = 0
    for word, tag in tagged(simplified(text)):
        before = words[-1] if words else NO_WORD
        if word == "生于" and before.text.endswith("出"):  # rjieba does not know 出生于
            words.pop()
            if before.text != "出":
                words.append(Word(before.start, at - 1, before.text[:-1], before.tag))
            words.append(Word(at - 1, at + 2, "出生于", "v"))
            at += 2
            continue
        if tag == "r" and before.text == "一" and word[0] in listed("classifiers"):  # 一 本书
            words[-1] = Word(before.start, at + 1, f"一{word[0]}", "m")
            word, at = word[1:], at + 1
        glued = _GLUED.fullmatch(word) if before.text not in ("其", "吉") else None
        first = glued[glued.lastindex or 0] if glued else ""
        if word == "很快" and before.text == "得":
            first = "很"
        for part, its in [(first, "r"), *tagged(word[len(first) :])] if first else [(word, tag)]:
            words.append(Word(at, at + len(part), part, _TAGS.get(part, its)))
            at += len(part)
    return words


_QUOTED = re.compile(
    "《[^《》]{1,60}》|「[^「」，。！？]{1,40}」|『[^『』，。！？]{1,40}』|“[^“”，。！？]{1,20}”"
)
_ASIDE = re.compile(r"（[^（）]*）|\([^()]*\)")
_SENTENCE_END = frozenset("。.！!？?；;…\n\r")
_CLAUSE_END = _SENTENCE_END | frozenset('，,：:—“”"《》「」『』()（）[]【】|~～')


def clauses_of(text: str) -> list[Clause]:
    """Return the clauses of a text in their order."""
    plain = simplified(text)
    whole = {match.start(): (match.end(), "") for match in _ASIDE.finditer(plain)}
    whole |= {match.start(): (match.end(), "nz") for match in _QUOTED.finditer(plain)}
    clauses: list[Clause] = []
    words: list[Word] = []
    begin = first = covered = 0  # of the sentence: its offset, and its first clause

    def close(end: str, at: int) -> None:
        nonlocal words, begin, first
        if words:
            clauses.append(Clause(tuple(words), end, ""))
            words = []
        if end in _SENTENCE_END or not end:
            around = plain[begin : at + len(end)]
            clauses[first:] = [clause._replace(sentence=around) for clause in clauses[first:]]
            begin, first = at + len(end), len(clauses)

    for word in words_of(text):
        if word.start < covered:
            continue
        if word.start in whole:
            covered, tag = whole[word.start]
            if tag:
                words.append(Word(word.start, covered, plain[word.start : covered], tag))
        elif word.text.isspace() and "\n" not in word.text:
            if _between(plain, word, "\u4e00", "\u9fff"):
                close(" ", word.start)
        elif word.text[0] not in _CLAUSE_END or (
            word.text in ".,:" and _between(plain, word, "0", "z")
        ):
            words.append(word)
        else:
            close(word.text[0], word.start)
    close("", len(plain))
    return clauses


def _between(text: str, word: Word, low: str, high: str) -> bool:
    """Return whether the characters around a word are of a range."""
    around = text[max(word.start - 1, 0) : word.start], text[word.stop : word.stop + 1]
    return all(low <= sign <= high for sign in around)


_HANT = re.compile("[" + "".join(map(chr, SIMPLIFIED)) + "]")


def simplified(text: str) -> str:
    """Return the text in simplified characters, of the same length."""
    return text.translate(SIMPLIFIED)


def written_as(text: str, new: str) -> str:
    """Return `new`, which is simplified, in traditional characters if the text has some."""
    return new.translate(TRADITIONAL) if _HANT.search(text) else new


def is_noun(word: Word) -> bool:
    """Return whether a word can name something: nouns, pronouns, names, Latin words."""
    named = word.tag[0] in "nrsf" and word.text not in listed("unnamed")
    return named or word.tag == "eng"


def is_verb(word: Word) -> bool:
    """Return whether jieba takes a word for a verb."""
    return word.tag[0] == "v"


def at(words: tuple[Word, ...], i: int) -> Word:
    """Return word i, or none before the first and after the last."""
    return words[i] if 0 <= i < len(words) else NO_WORD
