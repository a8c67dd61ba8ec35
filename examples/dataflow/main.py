"""What a Flex template runs: its parameters come as flags, and `pairsmith build` takes them."""

import sys
from collections.abc import Sequence

from pairsmith.commands.main import main

SINGLE = ("seed", "shards", "max_failed", "min_changed", "cache", "batch_rows")


def arguments(flags: Sequence[str]) -> list[str]:
    """Return the arguments of `pairsmith` for the flags that a launcher gives, `--name=value` each.

    `input` may hold several globs with spaces between them. Flags that are not of the command, such
    as those the launcher adds, go to Beam unchanged.
    """
    given, beam = {}, []
    for flag in flags:
        name, _, value = flag.removeprefix("--").partition("=")
        if name in ("recipe", "input", "output", "warn_idle", *SINGLE):
            given[name] = value
        else:
            beam.append(flag)
    ours = [given["recipe"]] if "recipe" in given else []
    if "input" in given:
        ours += ["--input", *given["input"].split()]
    for name in ("output", *SINGLE):
        if given.get(name):
            ours += [f"--{name.replace('_', '-')}", given[name]]
    if given.get("warn_idle", "").lower() == "true":
        ours.append("--warn-idle")
    return ["build", *ours, "--log", "json", *beam]


if __name__ == "__main__":
    sys.exit(main(arguments(sys.argv[1:])))
