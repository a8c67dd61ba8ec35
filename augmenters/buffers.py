"""Arrow string arrays as numpy views, and back: no Python object per row, no copy."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Scalar = TypeVar("Scalar", bound=np.generic)
_TEXT_TYPES = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)


@dataclass(frozen=True)
class Buffers:
    """The buffers of a string array, read-only: one numba specialisation serves every caller."""

    data: npt.NDArray[np.uint8]
    offsets: npt.NDArray[np.int32]
    """Shape (rows + 1,): the first is 0, the last the size of the data."""
    valid: npt.NDArray[np.uint8]
    """Shape (rows,), or (0,) when no text is null."""

    @property
    def rows(self) -> int:
        """Return the number of texts."""
        return self.offsets.size - 1


def read_only(array: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Return a contiguous view that cannot be written."""
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def string_buffers(texts: pa.Array) -> Buffers:
    """Return the buffers of a string array, of any kind of strings; of a slice, those of its rows.

    Raises TypeError when it holds no strings, ValueError when they exceed 2 GiB.
    """
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    kind = getattr(texts, "type", None)
    if not isinstance(texts, pa.Array) or not any(accepts(kind) for accepts in _TEXT_TYPES):
        raise TypeError(f"texts must be a pyarrow string array, not {kind or type(texts).__name__}")
    if pa.types.is_string_view(kind):
        texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    rows = len(texts)
    width = np.dtype(np.int32 if pa.types.is_string(texts.type) else np.int64)
    if offsets is None or not rows:
        positions = np.zeros(rows + 1, width)
    else:
        positions = np.frombuffer(offsets, width, rows + 1, width.itemsize * texts.offset)
    first, last = int(positions[0]), int(positions[-1])
    # No cast: Arrow's refuses a short slice of large_string that begins beyond 2 GiB.
    if last - first > np.iinfo(np.int32).max:
        raise too_long()
    if first or width != np.int32:
        positions = (positions - first).astype(np.int32)
    valid = np.empty(0, np.uint8)
    if texts.null_count:
        valid = texts.is_valid().to_numpy(zero_copy_only=False).view(np.uint8)
    return Buffers(
        read_only((np.frombuffer(data, np.uint8) if data else np.empty(0, np.uint8))[first:last]),
        read_only(positions),
        read_only(valid),
    )


def string_array(
    data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int32], valid: npt.NDArray[np.uint8]
) -> pa.StringArray:
    """Return the string array over these buffers, which must not change afterwards."""
    nulls = pa.py_buffer(np.packbits(valid, bitorder="little")) if valid.size else None
    return pa.StringArray.from_buffers(
        offsets.size - 1, pa.py_buffer(offsets), pa.py_buffer(data), nulls
    )


def check_keys(keys: npt.NDArray[np.uint64], rows: int) -> npt.NDArray[np.uint64]:
    """Return the keys as kernels take them. Raises ValueError unless they are `rows` uint64."""
    if not isinstance(keys, np.ndarray) or keys.dtype != np.uint64 or keys.shape != (rows,):
        kind = f"{keys.dtype} {keys.shape}" if isinstance(keys, np.ndarray) else type(keys).__name__
        raise ValueError(f"keys must be a uint64 array of shape ({rows},), not {kind}")
    return read_only(keys)


def too_long() -> ValueError:
    """Return the error for texts that 32-bit Arrow offsets cannot address."""
    return ValueError("the texts of one call exceed 2 GiB; pass smaller batches")
