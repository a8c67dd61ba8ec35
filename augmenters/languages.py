"""Languages by BCP 47 codes, of which the primary one counts: `zh-Hans` and `ZH` are `zh`."""

_WITHOUT_SPACES = frozenset(["bo", "dz", "ja", "km", "lo", "my", "th", "wuu", "yue", "zh"])


def primary(code: str) -> str:
    """Return the primary code of a language."""
    return code.split("-")[0].lower()


def writes_spaces(code: str) -> bool:
    """Return whether a language writes spaces between words."""
    return primary(code) not in _WITHOUT_SPACES
