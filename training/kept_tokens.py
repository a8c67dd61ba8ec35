"""Which ids a run reads in place of texts, and where in the order of samples they come from."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tokenizers import Tokenizer

from pairsmith.schemas import Dataset, UserError
from pairsmith.schemas.store import RemoteDataset
from pairsmith.training.order import Order
from pairsmith.training.row_groups import TokenisedShard
from pairsmith.training.token_build import tokens_to_read
from pairsmith.training.token_cache import TokenCache, TokenConfig


def tokenised(
    order: Order, datasets: Sequence[Dataset | RemoteDataset], caches: Sequence[TokenCache]
) -> Order:
    """Return the order with shards that have the ids of their texts, one cache for each dataset."""
    sources = []
    for source, dataset, cache in zip(order.sources, datasets, caches, strict=True):
        numbers = {path: number for number, path in enumerate(_paths(dataset))}
        groups = tuple(
            replace(group, shard=TokenisedShard(path, cache, numbers[path]))
            for group in source.groups
            if (path := getattr(group.shard, "path", None)) in numbers
        )
        sources.append(replace(source, groups=groups))
    return replace(order, sources=tuple(sources))


def open_tokens_of(
    datasets: Sequence[Dataset | RemoteDataset],
    tokenizer: Tokenizer,
    config: TokenConfig,
    epochs: float,
) -> list[TokenCache]:
    """Return the kept ids of all datasets, made where they are wanted; none unless all have some.

    Raises UserError when they are asked for and cannot be made.
    """
    local = [dataset for dataset in datasets if isinstance(dataset, Dataset)]
    if len(local) < len(datasets):
        if config.token_cache:
            raise UserError("--token-cache keeps ids of datasets in folders only; leave it out")
        return []
    found = (tokens_to_read(dataset, tokenizer, config, epochs) for dataset in local)
    caches = [cache for cache in found if cache is not None]
    return caches if len(caches) == len(datasets) else []


def _paths(dataset: Dataset | RemoteDataset) -> Sequence[Path]:
    return dataset.shards if isinstance(dataset, Dataset) else ()
