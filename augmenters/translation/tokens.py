"""Pieces of a Marian model, through sentencepiece alone: what transformers' MarianTokenizer does.

Literal special tokens in a text ("</s>") are text here, as with `split_special_tokens=True` there.
"""

import re
from pathlib import Path

from pairsmith.schemas import require

END = "</s>"
UNKNOWN = "<unk>"
_TARGET_LANGUAGE = re.compile(r">>.*?<<", re.DOTALL)


class MarianPieces:
    """Cuts sentences into the pieces that a Marian model knows, and joins those it writes."""

    def __init__(self, folder: Path) -> None:
        """Load source.spm and target.spm of the folder."""
        processor = require("sentencepiece", extra="build").SentencePieceProcessor
        self._source = processor(model_file=str(folder / "source.spm"))
        self._target = processor(model_file=str(folder / "target.spm"))

    def encode(self, sentences: list[str]) -> list[list[str]]:
        """Return the pieces of each sentence, the end mark last.

        ">>fr<<" at its start is one piece: multilingual models read there which language to write.
        """
        codes = [match and match[0] for match in map(_TARGET_LANGUAGE.match, sentences)]
        bare = [text[len(code or "") :] for code, text in zip(codes, sentences, strict=True)]
        pieces = self._source.encode(bare, out_type=str, num_threads=1)
        return [
            [*([code] if code else []), *cut, END] for code, cut in zip(codes, pieces, strict=True)
        ]

    def decode(self, outputs: list[list[str]]) -> list[str]:
        """Return the text of each output; marks of unknown pieces are left out."""
        known = [[piece for piece in pieces if piece != UNKNOWN] for pieces in outputs]
        texts: list[str] = self._target.decode(known, num_threads=1) if known else []
        return [text.replace("▁", " ").strip() for text in texts]
