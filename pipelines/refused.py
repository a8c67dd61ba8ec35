"""The error of a build whose input or outcome is refused, for which nothing of it is kept."""

from pairsmith.schemas import UserError


class RefusedUserError(UserError):
    """Raised when an input changed while it was read, or what was made is worth no manifest.

    A build that ends for any other reason goes on where it was when it is given again.
    """
