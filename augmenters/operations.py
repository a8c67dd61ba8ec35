"""Numbers that name an operation to compiled code; apart from it because it loads numba."""

from typing import Final

DROP: Final = 0
SPANS: Final = 1
CROP: Final = 2
SHUFFLE: Final = 3
REPEAT: Final = 4
