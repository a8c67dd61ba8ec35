"""Loading models without a word."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from pairsmith.schemas import require


@contextmanager
def quiet() -> Iterator[None]:
    """Leave out transformers' progress bars, and its wish for sacremoses, which it does not use."""
    logging = require("transformers", extra="translate").utils.logging
    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Recommended: pip install sacremoses")
            yield
    finally:
        if bars:
            logging.enable_progress_bar()
