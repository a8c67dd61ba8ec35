"""A light form of the document in which nlpaug's augmenters note what they change.

nlpaug makes three objects for each token, and looks for its position, which is only told with
`include_detail`: more than half of the time that deleting words takes. Here are two lists.
"""

from collections.abc import Sequence
from types import FunctionType
from typing import Any, NamedTuple


class Token(NamedTuple):
    """A token as one of nlpaug's methods sees it."""

    token: str


class Change(NamedTuple):
    """A token as it was and as it is."""

    was: str
    now: str

    @property
    def orig_token(self) -> Token:
        """Return what the text had there."""
        return Token(self.was)

    def get_latest_token(self) -> Token:
        """Return what the view has there."""
        return Token(self.now)


class Document:
    """Tokens as they were and as they are; its methods are those of `nlpaug.util.Doc`."""

    def __init__(self, doc: str, tokens: Sequence[str]) -> None:
        self.was = list(tokens)
        self.now = self.was.copy()

    def size(self) -> int:
        """Return how many tokens there are, deleted ones included."""
        return len(self.now)

    def get_original_tokens(self) -> list[str]:
        """Return the tokens as they were."""
        return self.was.copy()

    def get_augmented_tokens(self) -> list[str]:
        """Return the tokens as they are, without deleted ones."""
        return [token for token in self.now if token]

    def get_token(self, idx: int) -> Change:
        """Return one token."""
        return Change(self.was[idx], self.now[idx])

    def add_token(self, idx: int, token: str, **_: Any) -> None:
        """Insert a token before another."""
        self.was.insert(idx, token)
        self.now.insert(idx, token)

    def add_change_log(self, idx: int, new_token: str, **_: Any) -> None:
        """Replace a token."""
        self.now[idx] = new_token

    def update_change_log(self, idx: int, token: str, **_: Any) -> None:
        """Replace a token once more."""
        self.now[idx] = token


def lighten(made: Any) -> None:
    """Have the method that does the action of an object of nlpaug write in light documents.

    One that is not nlpaug's own, or knows no documents, is left as it is.
    """
    method = getattr(made, made.action, None)
    function = getattr(method, "__func__", None)
    if not isinstance(function, FunctionType) or not function.__module__.startswith("nlpaug."):
        return
    names = function.__globals__
    if "Doc" in names:
        own = FunctionType(
            function.__code__,
            names | {"Doc": Document},
            function.__name__,
            function.__defaults__,
            function.__closure__,
        )
        setattr(made, made.action, own.__get__(made))
