"""The folder in which the trials of a search train, beside the output; gone when it ends."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pairsmith.schemas import UserError
from pairsmith.schemas.locks import holding

_MARK = "SEARCH"


@contextmanager
def trials_folder(output: Path) -> Iterator[Path]:
    """Hold OUTPUT.trials for this search alone, and yield the place of one trial at a time in it.

    What a killed search left is removed. Raises UserError when another search is at work in it, it
    holds what is no search's, or it cannot be made.
    """
    folder = output.with_name(f"{output.name}.trials")
    mark = folder / _MARK
    if folder.exists() and not mark.is_file() and not _is_empty(folder):
        raise UserError(f"{folder} holds something else; move it, or choose another --output")
    busy = f"another search is at work in {folder}; wait for it, or choose another --output"
    with holding(mark, busy):
        try:
            yield folder / "trial"
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _is_empty(folder: Path) -> bool:
    return folder.is_dir() and not any(folder.iterdir())
