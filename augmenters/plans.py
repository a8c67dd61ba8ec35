"""Compiled decisions: which of n tokens are kept, dropped, masked, moved or said twice.

A plan is a list: `what[j]` is the token that stands at place j, or -1 for a mark, and `gap[j]` the
token whose space stands before it, or -1 for none. Plans return their length; those that only move
tokens leave all spaces where they are. All randomness is
splitmix64 of a record's state and a counter (Steele, Lea, Flood, OOPSLA 2014).
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from pairsmith.augmenters.characters import LEFT_CJK, RIGHT_CJK
from pairsmith.augmenters.compiled import njit

Flags = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int32]
Longs = npt.NDArray[np.int64]
Keys = npt.NDArray[np.uint64]

BLOCK = 16
"""Tokens that are planned at once, where draws can be: so many more have room in the scratch."""
_LAST = 2**63 - 1


@njit
def integer(x: Any) -> int:
    """Return x as int64: numba keeps unsigned types apart, and makes floats of mixtures."""
    return np.int64(x)  # type: ignore[return-value]


@njit
def mix(z: np.uint64) -> np.uint64:
    """Return the splitmix64 finaliser of a uint64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit
def draw(state: np.uint64, counter: int) -> np.uint64:
    """Return the `counter`-th random uint64 of a state."""
    return mix(state + np.uint64(counter + 1) * np.uint64(0x9E3779B97F4A7C15))


@njit
def unit(bits: np.uint64) -> float:
    """Return a float64 in [0, 1) made of random bits."""
    return np.float64(bits >> np.uint64(11)) * 2.0**-53


@njit
def below(bits: np.uint64, n: int) -> int:
    """Return an int64 in [0, n) made of random bits, for n < 2**31."""
    return integer((bits >> np.uint64(32)) * np.uint64(n) >> np.uint64(32))


@njit
def hit_each(n: int, state: np.uint64, threshold: np.uint64, what: Ints) -> int:
    """List the tokens whose draw is below a threshold, and return their number.

    Free of branches, as `plan_drop` is: no processor foresees a draw.
    """
    m = 0
    for t in range(n):
        what[np.uintp(m)] = t
        m += integer(draw(state, t) < threshold)
    return m


@njit
def keep_long(what: Ints, hits: int, bounds: Ints, edges: Bytes, size: int, chinese: int) -> int:
    """Keep the tokens of the list with so many bytes, and return their number.

    In English half of all words have less than four, and no processor foresees which.
    """
    m = 0
    for h in range(hits):
        t = integer(what[np.uintp(h)])
        what[np.uintp(m)] = t
        least = chinese if edges[np.uintp(t)] & (LEFT_CJK | RIGHT_CJK) != 0 else size
        length = integer(bounds[np.uintp(2 * t + 1)]) - bounds[np.uintp(2 * t)]
        m += integer(length >= least)
    return m


@njit
def hit_some(n: int, state: np.uint64, rate: float, what: Ints) -> int:
    """List from 1 to int(rate * n) + 1 tokens, at most n, uniform, and return their number."""
    left = min(n, 1 + below(draw(state, n), integer(rate * n) + 1))
    m = 0
    for t in range(n):
        what[np.uintp(m)] = t
        hit = integer(below(draw(state, t), n - t) < left)
        m += hit
        left -= hit
    return m


@njit
def plan_drop(n: int, state: np.uint64, rate: float, what: Ints) -> int:
    """Drop each token with probability `rate`; if all would go, one stays. Each keeps its gap."""
    threshold = np.uint64(rate * 2.0**64)
    m = 0
    for t in range(n):
        what[np.uintp(m)] = t
        m += integer(draw(state, t) >= threshold)
    if m == 0:
        what[0] = below(draw(state, n), n)
        m = 1
    return m


@njit
def plan_spans(
    n: int,
    state: np.uint64,
    density: float,
    mean_length: float,
    marked: bool,
    what: Ints,
    gap: Ints,
) -> int:
    """Cut out spans of tokens that never touch, as T5 does (arXiv 1910.10683, section 3.3.4).

    The numbers of spans and of tokens in them are rounded at random, so that density and mean
    length hold in the mean at any n; T5 rounds to the nearest and never to 0. Lengths and places
    are uniform among all that fit; T5 always ends a text with a span. One token at least stays.
    """
    spans = integer(n * density / mean_length + unit(draw(state, 0)))
    noise = min(integer(spans * mean_length + unit(draw(state, 1))), n - 1)
    spans = min(spans, noise, n - noise + 1)
    counter = 2
    # Parts of n - noise + 2 kept tokens, of which the outer two stand for the ends of the text.
    cuts, slots = spans, n - noise + 1
    noise_cuts, noise_slots = spans - 1, noise - 1
    t = 0
    m = 0
    for part in range(spans + 1):
        length, cuts, slots, counter = _part(state, counter, cuts, slots)
        length -= (part == 0) + (part == spans)
        for _ in range(length):
            what[m] = t
            gap[m] = t
            m += 1
            t += 1
        if part < spans:
            length, noise_cuts, noise_slots, counter = _part(
                state, counter, noise_cuts, noise_slots
            )
            if marked:
                what[m] = -1
                gap[m] = t
                m += 1
            t += length
    return m


@njit
def _part(state: np.uint64, counter: int, cuts: int, slots: int) -> tuple[int, int, int, int]:
    """Return the next part's length when `cuts` of the `slots` between units are cut at random."""
    length = 1
    while slots > 0:
        cut = below(draw(state, counter), slots) < cuts
        counter += 1
        slots -= 1
        if cut:
            cuts -= 1
            break
        length += 1
    return length, cuts, slots, counter


@njit
def plan_crop(
    n: int, state: np.uint64, low: float, high: float, least: int, what: Ints, gap: Ints
) -> int:
    """Keep a run of tokens: its share of n uniform in [low, high], its place uniform."""
    share = low + (high - low) * unit(draw(state, 0))
    m = min(max(integer(share * n + 0.5), least, 1), n)
    first = below(draw(state, 1), n - m + 1)
    for j in range(m):
        what[j] = first + j
        gap[j] = first + j
    return m


@njit
def plan_shuffle(
    n: int, state: np.uint64, window: int, places: Longs, ranks: Longs, what: Ints
) -> None:
    """Sort tokens by place + uniform [0, window), arXiv 1711.00043: none moves window places.

    Only tokens nearer than `window` can change their order: so a token's rank is how many of these
    sort before it, and all that stand further ahead. By blocks, which LLVM makes wide instructions;
    of the branches of a sort each would depend on a draw.
    ranks, what: scratch, for n + BLOCK tokens. places: scratch, longer by two windows and a block;
    the first window of it is -1, to stand before the first token.
    """
    padded = (n + BLOCK - 1) & -BLOCK
    reach = min(window, n) - 1
    for t in range(padded):
        place = (t << 32) + integer((draw(state, t) >> np.uint64(32)) * np.uint64(window))
        places[np.uintp(window + t)] = place
    for t in range(n, n + ((reach + 2 * BLOCK - 1) & -BLOCK)):
        places[np.uintp(window + t)] = _LAST
    for t in range(padded):
        ranks[np.uintp(t)] = t - reach
    for other in range(window - reach, window):
        for t in range(padded):
            earlier = places[np.uintp(other + t)] <= places[np.uintp(window + t)]
            ranks[np.uintp(t)] += integer(earlier)
    for other in range(window + 1, window + 1 + reach):
        for t in range(padded):
            earlier = places[np.uintp(other + t)] < places[np.uintp(window + t)]
            ranks[np.uintp(t)] += integer(earlier)
    for t in range(padded):
        what[np.uintp(ranks[np.uintp(t)])] = t


@njit
def plan_repeat(n: int, state: np.uint64, rate: float, what: Ints, gap: Ints) -> int:
    """Say some tokens twice, ESimCSE (arXiv 2109.04380): 0 to max(2, rate * n) of them, uniform."""
    m = 0
    left = min(below(draw(state, n), max(2, integer(rate * n)) + 1), n)
    for t in range(n):
        what[m] = t
        gap[m] = t
        m += 1
        if below(draw(state, t), n - t) < left:
            left -= 1
            what[m] = t
            gap[m] = -1
            m += 1
    return m


@njit
def plan_swap(n: int, state: np.uint64, rate: float, what: Ints) -> None:
    """Swap neighbours: each pair with probability `rate`, pairs from the first token or second."""
    threshold = np.uint64(rate * 2.0**64)
    for t in range(n):
        what[np.uintp(t)] = t
    for t in range(below(draw(state, n), 2), n - 1, 2):
        other = integer(draw(state, t) < threshold)
        what[np.uintp(t)] = t + other
        what[np.uintp(t + 1)] = t + 1 - other


@njit
def plan_swap_anywhere(n: int, state: np.uint64, rate: float, order: Longs, what: Ints) -> None:
    """Swap tokens in pairs drawn without replacement: rate * n tokens, rounded at random."""
    for t in range(n):
        what[t] = t
        order[t] = t
    pairs = min(integer(n * rate / 2 + unit(draw(state, n))), n // 2)
    for i in range(2 * pairs):
        j = i + below(draw(state, i), n - i)
        order[i], order[j] = order[j], order[i]
        if i % 2:
            what[order[i - 1]] = order[i]
            what[order[i]] = order[i - 1]
