"""The error of an augmenter that had to stop half-way, with what it had done until then."""

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.augmenter import Views
from pairsmith.schemas import UserError


class UnfinishedUserError(UserError):
    """Raised half-way through a batch by what costs money or time: the rows done are not lost."""

    def __init__(self, message: str, done: npt.NDArray[np.bool_], views: Views) -> None:
        """Take one line for the user, and the views of all rows, of which only `done` are made.

        done: bool, shape (rows of the batch,). What asks another augmenter about other rows, or
        goes on from its views, must raise a UserError of its own instead.
        """
        super().__init__(message)
        self.done = done
        self.views = views

    def __reduce__(self) -> tuple[type[UserError], tuple[str, npt.NDArray[np.bool_], Views]]:
        """Travel to other processes whole: one holds the model, another keeps what it made."""
        return UnfinishedUserError, (str(self), self.done, self.views)
