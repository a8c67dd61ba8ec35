"""What Beam flags ask of a build. Beam is loaded only where there are some."""

from collections.abc import Sequence
from dataclasses import dataclass

from pairsmith.pipelines.recipe.recipe import Recipe


@dataclass(frozen=True)
class Asked:
    """What is asked for; by default, that this machine builds without an engine."""

    elsewhere: bool = False
    """Whether an engine other than this process is to build."""
    hears_workers: bool = True
    """Whether all workers are on this machine, so that datagrams reach the driver."""
    detached: bool = False
    """Whether the job goes on without this process."""
    hints: tuple[tuple[str, str], ...] = ()
    """Beam's resource hints for the step that makes pairs."""
    store_flags: tuple[str, ...] = ()
    """The flags that tell how object stores are reached."""


def asked(flags: Sequence[str], recipe: Recipe, inputs: Sequence[str], output: str) -> Asked:
    """Return what the flags ask for; raises UserError for what the engine could not do."""
    if not flags:
        return Asked()
    from pairsmith.pipelines.engines.cloud import check_cloud, is_detached, model_hints
    from pairsmith.pipelines.engines.engine import check_engine, hears_workers, runs_elsewhere
    from pairsmith.pipelines.storage.stores import store_flags

    check_engine(flags)
    check_cloud(flags, inputs, output)
    elsewhere = runs_elsewhere(flags)
    return Asked(
        elsewhere=elsewhere,
        hears_workers=hears_workers(flags),
        detached=elsewhere and is_detached(flags),
        hints=model_hints(flags, recipe),
        store_flags=store_flags(flags),
    )


def builds_elsewhere(flags: Sequence[str]) -> bool:
    """Return whether the flags name an engine other than this process."""
    if not flags:
        return False
    from pairsmith.pipelines.engines.engine import runs_elsewhere

    return runs_elsewhere(flags)
