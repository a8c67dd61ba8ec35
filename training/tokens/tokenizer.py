"""A WordPiece tokenizer trained from the data, for static encoders that bring none."""

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

import numpy as np
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pairsmith.training.streaming.order import permutation
from pairsmith.training.streaming.row_groups import TEXTS, RowGroup, read
from pairsmith.training.tokens.ids import IdRows, Ids

SAMPLE_TEXTS = 1_000_000
SAMPLE_CHARACTERS = 50_000_000
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(groups: Sequence[RowGroup], vocabulary: int, seed: int) -> Tokenizer:
    """Return a WordPiece tokenizer of at most `vocabulary` subwords learned from the pairs.

    Texts are lower-cased, accents removed, CJK characters split, as BERT's uncased tokenizer does.
    The sample is the anchors and positives of row groups in a random order, until `SAMPLE_TEXTS`
    texts or `SAMPLE_CHARACTERS` characters: equal data and seed, equal tokenizer.
    """
    empty = _with_vocabulary({})
    inner = _inner_characters(empty, _sample(groups, seed))
    # The trainer numbers what follows inside words as it meets it in a hash map, in another order
    # every time, and breaks ties by these numbers. Naming them beforehand fixes the order.
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary,
        special_tokens=[*SPECIAL, *inner],
        min_frequency=2,
        show_progress=False,
    )
    empty.train_from_iterator(_sample(groups, seed), trainer)
    # The names were special only to the trainer: a new tokenizer does not look for them in texts.
    return _with_vocabulary(empty.get_vocab())


def special_tokenizer() -> Tokenizer:
    """Return a tokenizer of special tokens alone: what it is before it has seen a pair."""
    return _with_vocabulary({token: number for number, token in enumerate(SPECIAL)})


def count_tokens(
    groups: Sequence[RowGroup],
    tokenise: Callable[[list[str]], IdRows],
    vocabulary: int,
    seed: int,
) -> Ids:
    """Return how often each id occurs in the sample that a tokenizer is trained on.

    int64, shape (vocabulary,).
    """
    counts = np.zeros(vocabulary, np.int64)
    for lines in _sample(groups, seed):
        counts += np.bincount(tokenise(lines).ids, minlength=vocabulary)
    return counts


def _with_vocabulary(vocabulary: dict[str, int]) -> Tokenizer:
    model = models.WordPiece(vocabulary, unk_token="[UNK]", max_input_chars_per_word=100)  # noqa: S106
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    if vocabulary:
        tokenizer.add_special_tokens(list(SPECIAL))
    return tokenizer


def _inner_characters(tokenizer: Tokenizer, texts: Iterator[list[str]]) -> list[str]:
    """Return `##x`, sorted, for each character x of the texts that can stand inside a word."""
    seen: set[str] = set()
    for lines in texts:
        seen.update(*lines)
    plain = set("".join(map(tokenizer.normalizer.normalize_str, sorted(seen))))
    split = tokenizer.pre_tokenizer.pre_tokenize_str
    joined = tokenizer.normalizer.normalize_str
    return [f"##{x}" for x in sorted(plain) if len(split(joined(f"a{x}"))) == 1 and not x.isspace()]


def _sample(groups: Sequence[RowGroup], seed: int) -> Iterator[list[str]]:
    texts = characters = 0
    for number in permutation(len(groups), seed, 0, 0):
        table = read(groups[number], TEXTS)
        lines = list(chain.from_iterable(table[name].to_pylist() for name in TEXTS))
        yield lines
        texts += len(lines)
        characters += sum(map(len, lines))
        if texts >= SAMPLE_TEXTS or characters >= SAMPLE_CHARACTERS:
            return
