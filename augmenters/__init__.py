"""Texts in, views of them out: keyed augmenters over Arrow string arrays.

Importing this loads nothing heavy; numba, rjieba, pypinyin, sentencepiece and whatever asks a model
load at `setup()` or first use.
"""

from pairsmith.augmenters.augmenter import (
    Augmenter,
    FunctionAugmenter,
    Views,
    from_function,
    views_of,
)
from pairsmith.augmenters.cache import Cached
from pairsmith.augmenters.chinese_typos import LookalikeTypos, PinyinTypos
from pairsmith.augmenters.compose import OneOf, Sequence, Sometimes, intensities
from pairsmith.augmenters.eda import eda
from pairsmith.augmenters.edits import PunctuationInsert, RandomCase, WordJoin, WordSplit, WordSwap
from pairsmith.augmenters.ids import drop_ids, mask_id_spans
from pairsmith.augmenters.masks import FillMask, FillSpans
from pairsmith.augmenters.measures import count_words, word_overlap
from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.augmenters.perturb import (
    AntonymSwap,
    Negation,
    NumberChange,
    Phrase,
    PhraseSwap,
    RoleSwap,
)
from pairsmith.augmenters.pieces import TokenDropout, TokenSpanMask
from pairsmith.augmenters.rewriting import Rewrite
from pairsmith.augmenters.spacing import respaced_share
from pairsmith.augmenters.subwords import SubwordSampling
from pairsmith.augmenters.translation import BackTranslate
from pairsmith.augmenters.typos import KeyboardTypos, OcrTypos
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.augmenters.wordnet import Antonyms, Synonyms
from pairsmith.augmenters.words import Crop, SpanMask, WordDropout, WordRepeat, WordShuffle

__all__ = [
    "AntonymSwap",
    "Antonyms",
    "Augmenter",
    "BackTranslate",
    "Cached",
    "Crop",
    "FillMask",
    "FillSpans",
    "FunctionAugmenter",
    "KeyboardTypos",
    "LookalikeTypos",
    "Negation",
    "NlpAug",
    "NumberChange",
    "OcrTypos",
    "OneOf",
    "Phrase",
    "PhraseSwap",
    "PinyinTypos",
    "PunctuationInsert",
    "RandomCase",
    "Rewrite",
    "RoleSwap",
    "Sequence",
    "Sometimes",
    "SpanMask",
    "SubwordSampling",
    "Synonyms",
    "TokenDropout",
    "TokenSpanMask",
    "Views",
    "WordDropout",
    "WordInsert",
    "WordJoin",
    "WordRepeat",
    "WordShuffle",
    "WordSplit",
    "WordSubstitute",
    "WordSwap",
    "count_words",
    "drop_ids",
    "eda",
    "from_function",
    "intensities",
    "mask_id_spans",
    "respaced_share",
    "views_of",
    "word_overlap",
]
