"""What stands around an augmenter without changing what it makes: a cache, another process."""

from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from pairsmith.augmenters.augmenter import Augmenter, Keys, Views, views_of
from pairsmith.augmenters.settings import as_data


@dataclass(frozen=True)
class Delegating:
    """What an augmenter around another says of itself: what the other says."""

    augmenter: Augmenter

    @property
    def name(self) -> str:
        """Return the name of the augmenter."""
        return self.augmenter.name

    @property
    def version(self) -> int:
        """Return the version of the augmenter."""
        return self.augmenter.version

    @property
    def languages(self) -> tuple[str, ...]:
        """Return the languages of the augmenter."""
        return self.augmenter.languages

    @property
    def keeps_meaning(self) -> bool:
        """Return whether the augmenter keeps it."""
        return self.augmenter.keeps_meaning

    @property
    def needs(self) -> str:
        """Return what the augmenter needs."""
        return self.augmenter.needs

    @property
    def cache_by(self) -> Literal["text", "record"]:
        """Return what views of the augmenter depend on."""
        return getattr(self.augmenter, "cache_by", "record")

    def settings(self) -> dict[str, Any]:
        """Return those of the augmenter: what stands around it decides nothing."""
        return as_data(self.augmenter)  # type: ignore[no-any-return]

    def __call__(self, texts: pa.StringArray, keys: Keys) -> pa.StringArray:
        """Return a view of each text; null for null."""
        return self.views(texts, keys).texts

    def views(self, texts: pa.StringArray, keys: Keys) -> Views:
        """Return the views of the augmenter."""
        return views_of(self.augmenter, texts, keys)
