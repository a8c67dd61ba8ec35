"""Every augmenter that comes with pairsmith, with a text to try it on."""

from typing import NamedTuple

from pairsmith.augmenters.augmenter import Augmenter
from pairsmith.augmenters.chinese_typos import LookalikeTypos, PinyinTypos
from pairsmith.augmenters.compose import OneOf, Sequence, Sometimes, intensities
from pairsmith.augmenters.eda import eda
from pairsmith.augmenters.edits import PunctuationInsert, RandomCase, WordJoin, WordSplit, WordSwap
from pairsmith.augmenters.masks import FillMask, FillSpans
from pairsmith.augmenters.nlpaug_adapter import NlpAug
from pairsmith.augmenters.perturb import AntonymSwap, Negation, NumberChange, PhraseSwap, RoleSwap
from pairsmith.augmenters.pieces import TokenDropout, TokenSpanMask
from pairsmith.augmenters.rewriting import HARD_NEGATIVE, PARAPHRASE, QUESTION, SUMMARY, Rewrite
from pairsmith.augmenters.subwords import SubwordSampling
from pairsmith.augmenters.translation import BackTranslate
from pairsmith.augmenters.typos import KeyboardTypos, OcrTypos
from pairsmith.augmenters.word_choice import WordInsert, WordSubstitute
from pairsmith.augmenters.wordnet import Antonyms, Synonyms
from pairsmith.augmenters.words import Crop, SpanMask, WordDropout, WordRepeat, WordShuffle

BANK = "The bank did not raise its rates in March 2021, said Jerome Powell."
RENT = "The rent in New York rose by 3.5 % to $1,200 before the summer."
WEATHER = "昨天北京的气温是35度，比上海高。"
SERVICE = "他没有收到银行的短信，请问怎么办？"
CORPUS = (
    *(BANK, RENT, WEATHER, SERVICE),
    "She flew from Chicago to Rome in the spring.",
    "He has lived in London and in Berlin.",
    "他们去年从日本搬到了德国。",
)
"""What augmenters that take words from the corpus are fitted to here."""


class Entry(NamedTuple):
    """An augmenter and texts that show what it does."""

    augmenter: Augmenter
    texts: tuple[str, ...]


def catalogue(model: str) -> tuple[Entry, ...]:
    """Return the augmenters that need no more than pairsmith[build] and a sentencepiece model.

    model: path of the model. Those that ask a model, a service or WordNet are in `asking`.
    """
    both = (BANK, SERVICE)
    return (
        *(Entry(a, both) for a in (WordDropout(0.2), SpanMask(0.3, 2.0), Crop(), WordShuffle())),
        *(Entry(a, both) for a in (WordRepeat(), WordSwap(0.3), WordInsert(0.2))),
        *(Entry(a, both) for a in (WordSubstitute(0.2), WordSplit(0.3), WordJoin(0.3))),
        Entry(PunctuationInsert(), both),
        Entry(RandomCase(0.3), (BANK,)),
        Entry(KeyboardTypos(0.3), (BANK,)),
        Entry(OcrTypos(0.3), (RENT,)),
        Entry(PinyinTypos(0.2), (SERVICE,)),
        Entry(LookalikeTypos(0.3), (WEATHER,)),
        *(Entry(a, both) for a in (TokenDropout(model, 0.2), TokenSpanMask(model, 0.3))),
        Entry(SubwordSampling(model), both),
        Entry(Negation(), (BANK, "他没有收到银行的短信。")),
        Entry(NumberChange(), (RENT, WEATHER)),
        Entry(PhraseSwap(), ("He moved from Boston to Paris last year.", "他在法国住了三年。")),
        Entry(AntonymSwap(), (RENT, "这家店的东西很贵。")),
        Entry(RoleSwap(), ("New York is larger than Boston.", "汤姆把玛丽送到了车站。")),
        Entry(eda(), both),
        Entry(Sequence(WordShuffle(), WordDropout(0.2)), both),
        Entry(OneOf(WordDropout(0.2), Crop()), both),
        Entry(Sometimes(WordRepeat(), 0.5), both),
        Entry(intensities(WordDropout, 0.05, 0.5), both),
    )


def asking() -> tuple[Entry, ...]:
    """Return the augmenters that ask a model, a service, WordNet or nlpaug, as one would begin."""
    model, endpoint = "qwen2.5:7b", "http://localhost:11434/v1"
    prompts = (PARAPHRASE, SUMMARY, QUESTION, HARD_NEGATIVE)
    return (
        Entry(BackTranslate(to="fr"), (BANK,)),
        Entry(FillMask("bert-base-uncased"), (BANK,)),
        Entry(FillSpans("t5-small"), (BANK,)),
        *(
            Entry(Rewrite(prompt, model=model, endpoint=endpoint), (BANK, SERVICE))
            for prompt in prompts
        ),
        Entry(Synonyms(), (BANK,)),
        Entry(Antonyms(), (BANK,)),
        Entry(NlpAug("nlpaug.augmenter.char.KeyboardAug"), (BANK,)),
    )
