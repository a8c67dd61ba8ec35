"""The curves of a run as a picture, for people without a board."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pairsmith.schemas import require

CURVES = "curves.png"
MOST_CURVES = 8
COLUMNS = 3
WIDTH, HEIGHT = 4.8, 3.2
MARGINS = 0.62, 0.18, 0.48, 0.32
"""Left, right, below and above a diagram, in inches as its size."""
MOST_POINTS = 1000
"""Of a curve: two for each pixel of a diagram."""
_INK, _GRID = "#22252a", "#e6e9ee"
_COLOURS = (
    *("#2f6fde", "#e0762d", "#2a9d6e", "#b7499f"),
    *("#8a6d3b", "#d64550", "#4aa3c7", "#6b5bd2"),
)
_BY_STEP = {
    "loss": "loss",
    "accuracy": "positives that come first",
    "gap": "cosine of positive less that of hardest negative",
    "gradient_norm": "gradient norm",
    "learning_rate": "learning rate",
    "speed": "pairs per second",
}
_MAIN = {"pairs": "ap", "bitext": "accuracy", "retrieval": "ndcg@10"}
_BY_GROUP = (
    ("kind", "loss", "loss by kind"),
    ("source", "loss", "loss by dataset"),
    ("tokens", "accuracy", "positives that come first, by length in tokens"),
    ("all", "uniformity", "uniformity of the anchors (lower is more even)"),
)


@dataclass(frozen=True)
class Panel:
    """One diagram: curves by name, each a list of (step, value)."""

    title: str
    curves: Mapping[str, list[tuple[int, float]]]
    noisy: bool = False
    """Draw the running mean over the points."""


def draw_curves(log: Path, scores: Mapping[int, Mapping[str, float]], path: Path) -> None:
    """Draw the log and the evaluations of a run into the PNG `path`.

    log: `log.jsonl`. scores: by step. What was not recorded has no panel.
    Raises UserError when matplotlib is missing.
    """
    require("matplotlib", "train")
    from matplotlib.figure import Figure

    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    panels = [panel for panel in (*_logged(lines), *_scored(scores)) if panel.curves]
    columns = max(1, min(COLUMNS, len(panels)))
    rows = max(1, -(-len(panels) // columns))
    width, height = WIDTH * columns, HEIGHT * rows
    figure = Figure(figsize=(width, height), dpi=100)
    # By hand: a layout engine draws everything twice, which takes three times as long.
    left, right, low, high = MARGINS
    figure.subplots_adjust(
        left / width,
        low / height,
        1 - right / width,
        1 - high / height,
        (left + right) / (WIDTH - left - right),
        (low + high) / (HEIGHT - low - high),
    )
    for number, panel in enumerate(panels, start=1):
        _draw(figure.add_subplot(rows, columns, number), panel)
    figure.savefig(path, facecolor="white", metadata={"Software": None})


def _scored(scores: Mapping[int, Mapping[str, float]]) -> Iterator[Panel]:
    """Yield a panel for the main measure of each kind of evaluation, the files its curves."""
    curves: dict[tuple[str, str], dict[str, list[tuple[int, float]]]] = {}
    for step, values in scores.items():
        for name, value in values.items():
            kind, _, rest = name.partition("/")
            file, _, measure = rest.rpartition("/")
            if measure == _MAIN.get(kind, measure):
                curves.setdefault((kind, measure), {}).setdefault(file, []).append((step, value))
    for (kind, measure), found in curves.items():
        yield Panel(f"{kind}: {measure}", found)


def _logged(lines: list[dict[str, Any]]) -> Iterator[Panel]:
    for name, title in _BY_STEP.items():
        if points := [(x["step"], v) for x in lines if (v := _value(x, name)) is not None]:
            yield Panel(title, {"": points}, noisy=name != "learning_rate")
    told = [(line["step"], line["groups"]) for line in lines if "groups" in line]
    for column, measure, title in _BY_GROUP:
        curves = _grouped(((step, groups.get(column, {})) for step, groups in told), measure)
        if len(curves) > 1 or (column == "all" and curves):
            yield Panel(title, curves)


def _value(line: Mapping[str, Any], name: str) -> float | None:
    if name != "speed":
        return line.get(name)
    return line["rows"] / line["seconds"] if line["seconds"] > 0 else None


def _grouped(
    told: Iterable[tuple[int, Mapping[str, Mapping[str, float]]]], measure: str
) -> dict[str, list[tuple[int, float]]]:
    """Return the curves of the groups of most rows; a few rows make a noisy curve."""
    curves: dict[str, list[tuple[int, float]]] = {}
    rows: dict[str, float] = {}
    for step, groups in told:
        for name, means in groups.items():
            if measure in means:
                curves.setdefault(name, []).append((step, means[measure]))
                rows[name] = rows.get(name, 0) + means.get("rows", 0)
    largest = sorted(curves, key=lambda name: -rows[name])[:MOST_CURVES]
    return {name: curves[name] for name in curves if name in largest}


def _draw(axes: Any, panel: Panel) -> None:
    # At a given height: else all ticks are measured first, to see whether the title meets one.
    axes.set_title(panel.title, fontsize=10, color=_INK, loc="left", y=1.0)
    for colour, (name, points) in zip(_cycle(len(panel.curves)), panel.curves.items(), strict=True):
        x, y = np.array(points, np.float64).T
        drawn = np.unique(np.linspace(0, len(x) - 1, MOST_POINTS).astype(int))
        if panel.noisy and len(y) >= 20:
            axes.plot(x[drawn], y[drawn], color=colour, alpha=0.22, linewidth=0.8)
            axes.set_ylim(*_limits(y))
            y = _smooth(y)
        mark = "o" if len(x) <= 12 else ""
        line = {"linewidth": 1.7, "marker": mark, "markersize": 3.5, "label": name}
        axes.plot(x[drawn], y[drawn], color=colour, **line)
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b9c0ca")
    axes.tick_params(labelsize=8, colors="#5b6470", length=0)
    axes.set_xlabel("step", fontsize=8, color="#5b6470")
    axes.margins(x=0.02)
    if list(panel.curves) != [""]:
        axes.legend(fontsize=7.5, frameon=False, labelcolor=_INK)


def _cycle(count: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(count)]


def _smooth(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Return the mean of the points up to a fiftieth of the run away on either side."""
    reach = max(1, len(values) // 50)
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first, last = np.maximum(places - reach, 0), np.minimum(places + reach + 1, len(values))
    smooth: np.ndarray[Any, Any] = (sums[last] - sums[first]) / (last - first)
    return smooth


def _limits(values: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return where to cut an axis so that a few outliers do not press the curve flat."""
    low, high = np.percentile(values, (0.5, 99.5))
    room = 0.06 * max(high - low, 1e-9)
    return low - room, high + room
