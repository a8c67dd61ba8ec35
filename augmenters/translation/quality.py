"""What is wrong with a translation: plain functions over texts, each true where something is.

The thresholds were set on sentences that people wrote, so that these are let through: 70,000 of
Tatoeba in English, French, German and 20,000 in Chinese, 30,000 dialogue turns.
"""

import copy
import functools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pairsmith.augmenters.languages import primary
from pairsmith.schemas import require
from pairsmith.schemas.keys import normalise

Bools = npt.NDArray[np.bool_]
_REFRAIN = 10
_LOOP = re.compile(r"(.{1,40}?)\1{2,}", re.DOTALL)
LOOP_LENGTH = 6
"""Characters. None of 120,000 sentences of people has one so long, 0.003 % of dialogue turns do."""
JUDGED_BYTES = 20
"""Letters in UTF-8: 20 Latin ones, 7 Chinese. The language of less is not judged."""
REFRAINS = 3
"""Times. 0.003 % of the sentences and 0.1 % of the turns say the same ten characters so often."""
REFRAIN_SHARE = 0.35
"""Of a view's characters. Any long text comes back to its terms: without this, 4.6 % of 20,208 good
translations from Chinese seem to loop, and half of those of 300 characters; so 0.3 and 1 %."""
IMPROBABLE = 0.2
"""Below this a text is in another language: true of 99.9 % that are, and 0.04 % that are not."""
SLACK = 10
"""Characters added to both lengths, so that short texts may differ by more."""
_PLAUSIBLE = frozenset(["ar", "de", "en", "es", "fr", "it", "ja", "ko", "nl", "pt", "ru", "zh"])


def copies(texts: Sequence[str], views: Sequence[str]) -> Bools:
    """Return where a view is its text but for case, width and punctuation: shape (len(texts),)."""
    return np.array([a == b for a, b in zip(_bare(texts), _bare(views), strict=True)], np.bool_)


def loops(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return the longest stretch of each text that says the same three times or more in a row.

    int64, in characters: 8 for "22222222", 21 for "and so and so and so", the space behind the last
    counted. What repeats has at most 40 characters.
    """
    return np.array(
        [
            max((len(match[0]) for match in _LOOP.finditer(f"{text.lower()} ")), default=0)
            for text in texts
        ],
        np.int64,
    )


def refrains(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Return how often the ten characters of each text that come most often do: int64."""
    counts = np.zeros(len(texts), np.int64)
    for row, text in enumerate(texts):
        low = text.lower()
        runs = Counter(low[at : at + _REFRAIN] for at in range(len(low) - _REFRAIN + 1))
        counts[row] = max(runs.values(), default=0)
    return counts


def refrain_shares(texts: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the share of each text's characters in stretches of ten that come `REFRAINS` times."""
    shares = np.zeros(len(texts), np.float64)
    for row, text in enumerate(texts):
        low = text.lower()
        runs = [low[at : at + _REFRAIN] for at in range(len(low) - _REFRAIN + 1)]
        counts, inside = Counter(runs), np.zeros(len(low), np.bool_)
        for at, run in enumerate(runs):
            inside[at : at + _REFRAIN] |= counts[run] >= REFRAINS
        shares[row] = inside.mean() if runs else 0.0
    return shares


def repetitions(texts: Sequence[str], views: Sequence[str]) -> Bools:
    """Return where a view repeats itself as its text does not: shape (len(texts),).

    That is: it says something three times in a row, or comes back to the same ten characters three
    times or more, twice more often than the text, and such refrains are a good part of it.
    """
    stretches, counts = loops(views), refrains(views)
    suspects = np.flatnonzero((stretches >= LOOP_LENGTH) | (counts >= REFRAINS)).tolist()
    wrong = np.zeros(len(views), np.bool_)
    originals = [texts[row] for row in suspects]
    looped = stretches[suspects] > np.maximum(2 * loops(originals), LOOP_LENGTH - 1)
    returns = counts[suspects] >= np.maximum(refrains(originals) + 2, REFRAINS)
    returns &= refrain_shares([views[row] for row in suspects]) >= REFRAIN_SHARE
    wrong[suspects] = looped | returns
    return wrong


def foreign(texts: Sequence[str], language: str, others: tuple[str, ...] = ()) -> Bools:
    """Return where a text is in another language than this one, by py3langid.

    language, others: BCP 47 codes, of which the primary one counts; `others` are what it might be
    mistaken for, beside twelve languages that many write. Texts too short to tell are let through,
    and so are all if py3langid does not know the language.
    """
    wanted = primary(language)
    judged = [row for row, text in enumerate(texts) if _letters(text) >= JUDGED_BYTES]
    wrong = np.zeros(len(texts), np.bool_)
    among = tuple(sorted({wanted, *map(primary, others)}))
    identifier = _identifier(among)
    if wanted not in identifier.labels:
        return wrong
    for row in judged:
        wrong[row] = dict(identifier.rank(texts[row]))[wanted] < IMPROBABLE
    return wrong


def length_ratios(texts: Sequence[str], views: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the length of each view over that of its text, `SLACK` added to both."""
    return np.array(
        [
            (len(view) + SLACK) / (len(text) + SLACK)
            for text, view in zip(texts, views, strict=True)
        ],
        np.float64,
    )


def chrf(texts: Sequence[str], views: Sequence[str]) -> npt.NDArray[np.float64]:
    """Return the chrF of each view against its text, 0 to 100 (Popović 2015), as sacrebleu has it.

    For a translation there and back again it is the round-trip score: high where the view says the
    same in the same words.
    """
    metric = _chrf()
    return np.array(
        [
            metric.sentence_score(view, [text]).score
            for text, view in zip(texts, views, strict=True)
        ],
        np.float64,
    )


def _bare(texts: Sequence[str]) -> list[str]:
    """Return texts as identity compares them, punctuation left out unless there is nothing else."""
    folded = normalise(pa.array(texts, pa.string()))
    words = pc.replace_substring_regex(folded, r"[\pP\s]+", "")
    some = pc.not_equal(words, "")
    return pc.if_else(some, words, folded).to_pylist()  # type: ignore[no-any-return]


def _letters(text: str) -> int:
    return len("".join(filter(str.isalpha, text)).encode("utf-8", "surrogatepass"))


@functools.cache
def _identifier(languages: tuple[str, ...]) -> Any:
    """Return a classifier among these and the plausible ones."""
    every = _every_language()
    some = copy.copy(every)
    some.set_languages(sorted((_PLAUSIBLE | set(languages)) & set(every.labels)))
    return some


@functools.cache
def _every_language() -> Any:
    module = require("py3langid.langid", extra="translate")
    return module.LanguageIdentifier.from_model_file(module.MODEL_FILE, norm_probs=True)


@functools.cache
def _chrf() -> Any:
    return require("sacrebleu.metrics", extra="translate").CHRF()
