"""Texts -> token ids, special tokens included, cut to a number of tokens."""

from tokenizers import Tokenizer

from pairsmith.training.tokens.ids import Frame, IdRows, cutter, frame_of, framed


class Subwords:
    """Cuts texts into the ids of `tokenizer`, whose padding and truncation are set here for good.

    Safe to call from several threads.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, *, special: bool, cut: str = "right"):
        """Set up.

        max_length: the most tokens of a text; 0: no limit.
        special: put special tokens around texts, as the tokenizer's template says.
        cut: the side of the text that is given up when it is too long.
        Raises UserError when `max_length` has no room for one token of the text, or the tokenizer
        does more to a text than put special tokens around it.
        """
        cut_left = cut == "left"
        self._cut = cutter(tokenizer)
        self._frame = frame_of(tokenizer, cut_left=cut_left) if special else Frame((), (), cut_left)
        self.max_length = max_length
        self.frame(IdRows.of([]))  # raises when there is no room
        tokenizer.no_padding()
        tokenizer.no_truncation()
        if max_length:
            tokenizer.enable_truncation(max_length, direction=cut)
        self.tokenizer = tokenizer

    def __call__(self, texts: list[str]) -> IdRows:
        """Return the ids of texts."""
        return self.frame(self._cut(texts))

    def frame(self, whole: IdRows) -> IdRows:
        """Return the ids of texts that come whole, without special tokens, as a cache has them."""
        return framed(whole, self._frame, self.max_length)
