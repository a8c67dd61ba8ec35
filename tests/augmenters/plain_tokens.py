"""What a token is, written anew from the rule as one regular expression, and what tests share."""

import re
import unicodedata

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

CJK = (
    r"\u2E80-\u2FDF\u3005-\u3007\u3021-\u3029\u3038-\u303B\u3041-\u3096\u309D-\u309F\u30A1-\u30FA"
    r"\u30FC-\u30FF\u31F0-\u31FF\u3400-\u4DBF\u4E00-\u9FFF\uF900-\uFAFF\uFF66-\uFF9D"
    r"\U0001AFF0-\U0001B16F\U00020000-\U0003FFFF"
)
CLOSERS = re.escape(
    "!\"%'),.:;?]}»’”…—～、。〉》」』】〕〗〙〛〞〟︶︸︺︼︾﹀﹂﹄﹐﹑﹒﹔﹕﹖﹗！％），．：；？］｝｠｡｣､‰℃·‼⁇⁈⁉"
)
OPENERS = re.escape("([{«‘“〈《「『【〔〖〘〚〝︵︷︹︻︽︿﹁﹃（［｛｟｢")
MARKS = "".join(
    chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Me")
)
# Joiner, half width voicing marks, skin tones, tags.
MARKS += "\u200d\uff9e\uff9f" + "".join(
    map(chr, (*range(0x1F3FB, 0x1F400), *range(0xE0020, 0xE0080)))
)
TOKEN = re.compile(rf"[{OPENERS}]*[{CJK}][{CLOSERS}{MARKS}]*|(?:(?![{OPENERS}]*[{CJK}])\S)+")

ANY = st.text(max_size=60)
# Dense in what the rule speaks of.
HARD = st.text(
    "aB1 \t\n\x1c\x85\xa0\u2003\u3000中文龘𠮷かカｶーﾞ々。，、！」』”)]}.,?%'\""
    "「『“([{«»é\u0301\ufe0f\u200d"
    "👩🚀🏽🇫🇷e-_<>[]ไทยक्षि한국어עבא",
    max_size=40,
)
TEXTS = st.lists(st.none() | ANY | HARD, max_size=6)


def tokens(text):
    """Return the tokens of a text."""
    return TOKEN.findall(text)


def is_subsequence(part, whole):
    """Return True when `part` is `whole` with some elements left out."""
    rest = iter(whole)
    return all(element in rest for element in part)


def keys(count, seed=17):
    """Return random keys."""
    return np.random.default_rng(seed).integers(0, 2**64, count, np.uint64)


def views(augmenter, texts, seed=17):
    """Return the views of a list of texts as a list."""
    return augmenter(pa.array(texts, pa.string()), keys(len(texts), seed)).to_pylist()
