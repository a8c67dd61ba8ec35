"""What was spent: a file that all worker processes of a build, and all builds, add lines to.

A line is a JSON object of changes, `{"requests":1,"tokens":[120,31],"money":4.3e-05}`, and sums are
all there is to it. Before a request is sent, the most that it can cost is added as `held`, and only
then is the sum looked at: however many processes do so at once, no two spend the same money. What
a killed process held stays held, since the server may have answered it.
"""

import functools
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from pairsmith.schemas import UserError

_OVERHEAD_TOKENS = 256
"""More than a server's chat template puts around our messages."""
_MILLION = 1_000_000


class Spent(NamedTuple):
    """What a ledger adds up to."""

    requests: int = 0
    """Requests that were answered."""
    tokens_read: int = 0
    tokens_written: int = 0
    money: float = 0.0
    """In the currency of the price."""
    held: float = 0.0
    """For requests on their way, or never answered: the most that they can cost."""


def spent(ledger: str | Path) -> Spent:
    """Return what a ledger adds up to; nothing for one that is not there yet."""
    return _Ledger(str(ledger)).total()


@dataclass(frozen=True)
class Budget:
    """How much may be spent, and where it is written down."""

    ledger: str
    """File; empty for none."""
    price: tuple[float, float]
    """Of a million tokens, read and written."""
    max_cost: float | None

    def check(self) -> None:
        """Raise UserError when the ledger cannot be written."""
        if self.ledger:
            self._book().add({})

    def hold(self, body: dict[str, Any]) -> float:
        """Return the most that a request can cost, set aside for it; 0 where nothing is paid.

        A token is one byte at least, so the bytes of the messages bound what is read.
        Raises UserError, and sets nothing aside, when that could exceed `max_cost`.
        """
        if not self.ledger or not any(self.price):
            return 0.0
        read = sum(len(m["content"].encode()) for m in body["messages"]) + _OVERHEAD_TOKENS
        most = self._money(read, body.get("max_completion_tokens") or body["max_tokens"])
        book = self._book()
        book.add({"held": most})
        if self.max_cost is None:
            return most
        total = book.total()
        if total.money + total.held > self.max_cost:
            book.add({"held": -most})
            raise UserError(
                f"max_cost={self.max_cost:g} is reached: {total.money:.6g} is spent by "
                f"{self.ledger}, {max(total.held - most, 0):.6g} is held for requests on their way "
                f"or never answered, and the next can cost {most:.6g}; raise max_cost to go on"
            )
        return most

    def release(self, held: float) -> None:
        """Give back what was held for a request that costs nothing."""
        if held:
            self._book().add({"held": -held})

    def settle(self, held: float, tokens: tuple[int, int] | None) -> None:
        """Write down an answer; one that does not say its tokens costs the most it can."""
        if self.ledger:
            money = held if tokens is None else self._money(*tokens)
            line = {"requests": 1, "tokens": tokens or (0, 0), "money": money}
            self._book().add({**line, "held": -held} if held else line)

    def _money(self, read: int, written: int) -> float:
        return (read * self.price[0] + written * self.price[1]) / _MILLION

    def _book(self) -> "_Ledger":
        return _ledger(os.getpid(), os.path.realpath(self.ledger))


class _Ledger:
    """A ledger that was read up to some place, and goes on from there."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.read_to = 0
        self.seen = Spent()
        self.lock = threading.Lock()

    def add(self, changes: dict[str, Any]) -> None:
        """Append a line, in one write, so that lines of several processes do not mix."""
        data = json.dumps(changes, separators=(",", ":")).encode() + b"\n" if changes else b""
        try:
            with self.path.open("ab", buffering=0) as file:
                file.write(data)
        except OSError as error:
            raise UserError(
                f"cannot write the ledger {self.path}: {error.strerror}; choose another ledger"
            ) from error

    def total(self) -> Spent:
        """Return the sum of all lines, of which only the new ones are read.

        A ledger that has become shorter was removed or emptied, and is read anew.
        """
        with self.lock:
            try:
                with self.path.open("rb") as file:
                    if file.seek(0, os.SEEK_END) < self.read_to:
                        self.read_to, self.seen = 0, Spent()
                    file.seek(self.read_to)
                    new = file.read()
            except FileNotFoundError:
                self.read_to, self.seen = 0, Spent()
                return self.seen
            whole = new[: new.rfind(b"\n") + 1]
            for line in whole.splitlines():
                self.seen = _plus(self.seen, line, self.path)
            self.read_to += len(whole)
            return self.seen


@functools.cache
def _ledger(process: int, path: str) -> _Ledger:
    """Return the ledger as this process knows it: a forked one must not share its lock."""
    return _Ledger(path)


def _plus(spent: Spent, line: bytes, path: Path) -> Spent:
    try:
        changes = json.loads(line)
        read, written = changes.get("tokens", (0, 0))
        return Spent(
            spent.requests + changes.get("requests", 0),
            spent.tokens_read + read,
            spent.tokens_written + written,
            spent.money + changes.get("money", 0.0),
            spent.held + changes.get("held", 0.0),
        )
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} is no ledger: it holds the line {line[:60]!r}; choose another ledger"
        ) from error
