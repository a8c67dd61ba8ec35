"""Views by machine translation, there and back again."""

from pairsmith.augmenters.translation.back_translate import BackTranslate
from pairsmith.augmenters.translation.load import Model
from pairsmith.augmenters.translation.translator import Decoding, Translated, Translator

__all__ = ["BackTranslate", "Decoding", "Model", "Translated", "Translator"]
