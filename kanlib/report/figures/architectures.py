"""Networks drawn as boxes. Nothing is computed here."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from kanlib.models.registry import MODELS
from kanlib.report.figures.style import NO_GRID, STYLE, grid, headline

_COLOURS = {
    "KAN": MODELS["kan-pure"].colour,
    "dense": MODELS["spline-mlp"].colour,
    "convolution": MODELS["conv"].colour,
}


def architectures(rows: Mapping[str, Sequence[tuple[str, int]]], *, title: str = "") -> Figure:
    """A network a row: a bar for the numbers between two layers, a box for each layer.

    Args:
        rows: name -> layers as (kind, numbers that it gives); the first is the image, of no kind.
            Kinds are "KAN", "dense" and "convolution". The smallest numbers are the code.
        title: what the figure shows, a sentence.
    """
    with mpl.rc_context(STYLE | NO_GRID):
        figure, panels = grid(len(rows), 1, (8, 1.35 * len(rows) + 0.4))
        for axes, (name, layers) in zip(panels[:, 0], rows.items(), strict=True):
            _draw_network(axes, layers)
            axes.set_title(name)
        headline(figure, title)
    return figure


def _draw_network(axes: Axes, layers: Sequence[tuple[str, int]]) -> None:
    heights = [np.log2(numbers + 1) for _, numbers in layers]
    places = np.linspace(0, 1, len(layers))
    gap = 0.012
    for (left, right), (low, high), (kind, _) in zip(
        pairwise(places), pairwise(heights), layers[1:], strict=True
    ):
        corners = [
            *[(left + gap, -low / 2), (left + gap, low / 2)],
            *[(right - gap, high / 2), (right - gap, -high / 2)],
        ]
        axes.add_patch(Polygon(corners, color=_COLOURS[kind], alpha=0.45, lw=0))
        axes.text((left + right) / 2, 0, kind, ha="center", va="center", fontsize=9)
    code = (len(layers) - 1) / 2
    for number, (place, height, (_, numbers)) in enumerate(
        zip(places, heights, layers, strict=True)
    ):
        axes.plot([place, place], [-height / 2, height / 2], color="black", lw=3)
        what = {0: "image ", code: "code ", len(layers) - 1: "image "}.get(number, "")
        axes.text(place, height / 2 + 0.6, f"{what}{numbers:,}", ha="center", fontsize=8)
    axes.set(xlim=(-0.07, 1.07), ylim=(-5.6, 8))
    axes.set_axis_off()
