"""Words and clauses of a Chinese text, with their parts of speech, by rjieba."""

import re
from typing import NamedTuple

from pairsmith.augmenters.perturb.chinese_characters import SIMPLIFIED, TRADITIONAL
from pairsmith.schemas import require

_KANA = re.compile("[\u3041-\u3096\u30a1-\u30fa]")
_HANT = re.compile("[" + "".join(map(chr, SIMPLIFIED)) + "]")
_GLUED = re.compile("(我|你|他|她|它|您)(?![们国人家好俩市省方妈爸]).{1,2}|([这那])是|(很|非常)(?![多少快久]).{1,3}")
"""What rjieba takes for one word, and what the first word of it is."""
_QUOTED = re.compile("《[^《》]{1,60}》|「[^「」，。！？]{1,40}」|『[^『』，。！？]{1,40}』|“[^“”，。！？]{1,20}”")
_ASIDE = re.compile(r"（[^（）]*）|\([^()]*\)")
_SENTENCE_END = frozenset("。.！!？?；;…\n\r")
_CLAUSE_END = _SENTENCE_END | frozenset("，,：:—“”\"《》「」『』()（）[]【】|~～")


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
        if word == "生于" and words and words[-1].text.endswith("出"):
            last = words.pop()
            if last.text != "出":
                words.append(Word(last.start, at - 1, last.text[:-1], last.tag))
            word, tag, at = "出生于", "v", at - 1
        glued = _GLUED.fullmatch(word) if not words or words[-1].text not in ("其", "吉") else None
        for part, its in [(glued[glued.lastindex or 0], "r"), *tagged(word[glued.end(glued.lastindex or 0) :])] if glued else [(word, tag)]:
            words.append(Word(at, at + len(part), part, "d" if part in ("很", "非常") else its))
            at += len(part)
    return words


def clauses_of(text: str) -> list[Clause]:
    """Return the clauses of a text in their order."""
    plain = simplified(text)
    whole = [(match.span(), "nz") for match in _QUOTED.finditer(plain)]
    whole += [(match.span(), "") for match in _ASIDE.finditer(plain)]
    clauses: list[Clause] = []
    words: list[Word] = []
    begin, sentence = 0, 0  # of the sentence: offset in the text, place in `clauses`

    def close(end: str, at: int) -> None:
        nonlocal words, begin, sentence
        if words:
            clauses.append(Clause(tuple(words), end, ""))
            words = []
        if end in _SENTENCE_END or not end:
            around = plain[begin : at + len(end)]
            clauses[sentence:] = [one._replace(sentence=around) for one in clauses[sentence:]]
            begin, sentence = at + len(end), len(clauses)

    covered = 0
    for word in words_of(text):
        if word.start < covered:
            continue
        inside = [(span, tag) for span, tag in whole if span[0] <= word.start < span[1]]
        if inside:
            (start, stop), tag = max(inside, key=lambda one: one[0][1])
            covered = stop
            if tag:
                words.append(Word(word.start, stop, plain[word.start : stop], tag))
        elif word.text.isspace() and "\n" not in word.text:
            if _between_han(plain, word):
                close(" ", word.start)
        elif word.text[0] in _CLAUSE_END and not _in_number(plain, word):
            close(word.text[0], word.start)
        else:
            words.append(word)
    close("", len(plain))
    return clauses


def _between_han(text: str, space: Word) -> bool:
    around = text[max(space.start - 1, 0) : space.start], text[space.stop : space.stop + 1]
    return all("\u4e00" <= sign <= "\u9fff" for sign in around)


def _in_number(text: str, sign: Word) -> bool:
    around = text[max(sign.start - 1, 0) : sign.start], text[sign.stop : sign.stop + 1]
    return sign.text in ".,:" and all(one.isascii() and one.isalnum() for one in around)


def simplified(text: str) -> str:
    """Return the text in simplified characters, of the same length."""
    return text.translate(SIMPLIFIED)


def written_as(text: str, new: str) -> str:
    """Return `new`, which is simplified, in traditional characters if the text has some."""
    return new.translate(TRADITIONAL) if _HANT.search(text) else new


def is_noun(word: Word) -> bool:
    """Return whether a word can name something: nouns, pronouns, names, Latin words."""
    return word.tag[0] in "nrsf" and word.text not in _NOT_NOUNS or word.tag == "eng"


def is_verb(word: Word) -> bool:
    """Return whether jieba takes a word for a verb."""
    return word.tag[0] == "v"


_NOT_NOUNS = frozenset("这么 那么 怎么 如此 这样 那样 怎样 为什么 每 各 这 那 该 本 某 此 另 另外 其他 所有 任何".split())
