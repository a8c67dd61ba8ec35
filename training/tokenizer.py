"""A WordPiece tokenizer trained from the data, for static encoders that bring none."""

from collections.abc import Iterator, Sequence
from itertools import chain, takewhile

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pairsmith.training.loader import TEXTS, Cursor, RowGroup, stream

SAMPLE_TEXTS = 1_000_000
SAMPLE_CHARACTERS = 200_000_000
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def train_tokenizer(groups: Sequence[RowGroup], vocabulary: int, seed: int) -> Tokenizer:
    """Return a WordPiece tokenizer of at most `vocabulary` subwords learned from the pairs.

    Texts are lower-cased, accents removed, CJK characters split, as BERT's uncased tokenizer does.
    The sample is the anchors and positives of the first epoch, in the epoch's order, until
    `SAMPLE_TEXTS` texts or `SAMPLE_CHARACTERS` characters: equal data and seed, equal tokenizer.
    """
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106  no password
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIAL), min_frequency=2, show_progress=False
    )
    tokenizer.train_from_iterator(_sample(groups, seed), trainer)
    return tokenizer


def _sample(groups: Sequence[RowGroup], seed: int) -> Iterator[list[str]]:
    pieces = stream(groups, Cursor(), seed=seed, batch_size=4096, window=1, columns=TEXTS)
    first_epoch = takewhile(lambda piece: piece[1].epoch == 0, pieces)
    texts = characters = 0
    for batch, _ in first_epoch:
        lines = list(chain.from_iterable(batch[name].to_pylist() for name in TEXTS))
        yield lines
        texts += len(lines)
        characters += sum(map(len, lines))
        if texts >= SAMPLE_TEXTS or characters >= SAMPLE_CHARACTERS:
            return
