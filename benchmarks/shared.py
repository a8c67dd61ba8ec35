"""Where the data of benchmarks lies: docs/data.md says what it is."""

import os
from pathlib import Path

SHARED = Path(os.environ.get("PAIRSMITH_SHARED", Path(__file__).resolve().parents[2] / "shared"))
CORPUS = SHARED / "data" / "corpus"
