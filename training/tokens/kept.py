"""Which ids a run reads in place of texts, and where in the order of samples they come from."""

from collections.abc import Sequence
from dataclasses import replace

from tokenizers import Tokenizer

from pairsmith.schemas import Dataset, UserError
from pairsmith.schemas.store import RemoteDataset
from pairsmith.training.streaming.corpus import StreamConfig, remote_shards, shard_files
from pairsmith.training.streaming.order import Order
from pairsmith.training.streaming.row_groups import TokenisedShard
from pairsmith.training.tokens.build import token_cache
from pairsmith.training.tokens.cache import TokenCache, TokenConfig, draws, open_tokens
from pairsmith.training.tokens.remote import RemoteTokens, remote_tokens

Opened = Dataset | RemoteDataset
Kept = TokenCache | RemoteTokens


def tokenised(
    order: Order, datasets: Sequence[Opened], kept: Sequence[Kept], stream: StreamConfig
) -> Order:
    """Return the order with shards that have the ids of their texts, kept for each dataset."""
    sources = []
    for source, dataset, tokens in zip(order.sources, datasets, kept, strict=True):
        numbers = {shard: number for number, shard in enumerate(shard_files(dataset, stream))}
        groups = tuple(
            replace(group, shard=TokenisedShard(group.shard, tokens, numbers[group.shard]))
            for group in source.groups
        )
        sources.append(replace(source, groups=groups))
    return replace(order, sources=tuple(sources))


def open_tokens_of(
    datasets: Sequence[Opened],
    tokenizer: Tokenizer,
    config: TokenConfig,
    stream: StreamConfig,
    epochs: float,
) -> list[Kept]:
    """Return the kept ids of all datasets, made where they are wanted; none unless all have some.

    Those of datasets in object stores are made of row groups as these are read. Unless the config
    says otherwise, they are read where all are there, and made for more than one epoch if the shard
    cache has room for them.
    Raises UserError when they are asked for and cannot be made.
    """
    asked = config.token_cache
    if asked is False or (asked is not True and draws(tokenizer)):
        return []
    make = asked is True or (asked is None and epochs > 1)
    remote = [dataset for dataset in datasets if isinstance(dataset, RemoteDataset)]
    far = [remote_tokens(remote_shards(dataset, stream), tokenizer) for dataset in remote]
    size = sum(shard.bytes for dataset in remote for shard in dataset.manifest.shards)
    # Ids take about as much room as the shards, which they must not push out.
    room = asked is True or 2 * size <= stream.shard_cache_gb * 1e9
    if not (make and room) and not all(tokens.complete for tokens in far):
        return []
    kept: list[Kept] = []
    for dataset in datasets:
        if isinstance(dataset, RemoteDataset):
            kept.append(far.pop(0))
        elif make:
            workers = config.token_workers
            kept.append(token_cache(dataset, tokenizer, config.token_folder, workers=workers))
        else:
            try:
                kept.append(open_tokens(dataset, tokenizer, config.token_folder))
            except UserError:  # there are none, which is no mistake
                return []
    return kept
