"""What the front door makes of errors: a line that says what to do about them."""

import errno
import os
import sys
from collections.abc import Sequence
from types import SimpleNamespace

import pytest

from pairsmith.commands.main import main


@pytest.mark.parametrize(
    ("number", "mend"),
    [
        (errno.ENOSPC, "make room, or choose another place"),
        (errno.EACCES, "change who may use it, or choose another place"),
        (errno.EROFS, "choose another place"),
    ],
)
def test_what_to_do_about_an_error_of_the_system_fits_it(
    number: int, mend: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    said = os.strerror(number)

    def fail(argv: Sequence[str]) -> int:
        raise OSError(number, said, "corpus/a.txt")

    monkeypatch.setitem(sys.modules, "pairsmith.commands.verify", SimpleNamespace(main=fail))
    assert main(["verify"]) == 2
    assert capsys.readouterr().err == f"pairsmith verify: {said} (corpus/a.txt); {mend}\n"
