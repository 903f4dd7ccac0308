"""The idea in one figure: what is learned on an edge, and the two autoencoders made of it."""

import itertools
from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Polygon

from kanlib.models.registry import MODELS
from kanlib.report.figures.style import NO_GRID, STYLE, grid, headline

_EDGE = "#009E73"
_DENSE: list[Callable[[Any], Any]] = [
    lambda x: 0.55 * x,
    lambda x: -0.25 * x,
    lambda x: 0.95 * x,
]
_KAN: list[Callable[[Any], Any]] = [
    lambda x: 0.7 * np.sin(3.2 * x + 0.6),
    lambda x: 0.9 * np.exp(-9 * x**2) - 0.45,
    lambda x: 0.8 * np.tanh(3 * (x - 0.2)) * (1 - 0.5 * x**2),
]


def idea() -> Figure:
    """A dense layer beside a KAN layer, and AE-KAN beside pure KAN. Nothing in it is measured."""
    math: dict[Any, Any] = {"text.parse_math": True}
    with mpl.rc_context(STYLE | NO_GRID | math):
        figure, [panels] = grid(1, 4, (11, 3.6))
        _draw_layer(panels[0], _DENSE, "Dense layer", "a number on every edge", "w x")
        _draw_layer(panels[1], _KAN, "KAN layer", "a curve on every edge", "φ(x)")
        kan, pure = MODELS["kan"], MODELS["kan-pure"]
        coder = [("KAN layer", kan.colour, 0.78), ("ReLU", "", 0.52), ("dense layer", "", 0.52)]
        _draw_model(panels[2], kan.label, "the paper's text", coder)
        coder = [("KAN layer", pure.colour, 0.78)]
        _draw_model(panels[3], pure.label, "the authors' code for CIFAR-10", coder)
        title = "A dense layer learns numbers, a KAN layer curves; pure KAN is made of nothing else"
        headline(figure, title)
    return figure


def _draw_layer(
    axes: Axes, functions: list[Callable[[Any], Any]], name: str, says: str, term: str
) -> None:
    """Three inputs, one output, and a small plot on each of the three edges."""
    _prepare(axes, name, says)
    x, out = np.linspace(-1, 1, 61), (0.9, 0.5)
    for number, (function, height) in enumerate(zip(functions, (0.88, 0.5, 0.12), strict=True), 1):
        axes.plot([0.1, out[0]], [height, out[1]], color="0.5", lw=1.5, zorder=1)
        middle = (0.42, height + 0.4 * (out[1] - height))
        _draw_box(axes, middle, (0.28, 0.19), "white", "0.6")
        where, curve = middle[0] + 0.12 * x, middle[1] + 0.08 * function(x)
        axes.plot(where, curve, color=_EDGE, lw=2.2, zorder=4)
        _draw_node(axes, (0.1, height), f"$x_{number}$")
    _draw_node(axes, out, "$y$")
    terms = [term.replace("x", f"x_{i}").replace("w", f"w_{i}") for i in (1, 2, 3)]
    terms = [text.replace("φ", rf"\varphi_{i}") for i, text in enumerate(terms, 1)]
    axes.text(0.5, -0.04, f"$y = {' + '.join(terms)}$", ha="center", va="center", fontsize=10)


def _draw_model(axes: Axes, name: str, says: str, coder: list[tuple[str, str, float]]) -> None:
    """A stack of boxes: image, the encoder's parts, code, the same mirrored, image.

    Args:
        axes: to draw on.
        name: of the model.
        says: where it is from.
        coder: text, colour ("": none) and width of each part of the encoder.
    """
    _prepare(axes, name, says)
    image, code = ("image", "", 0.95), ("code", "black", 0.34)
    stack = [image, *coder, code, *reversed(coder), image]
    heights = np.linspace(0.95, -0.02, len(stack))
    tall = 0.092
    for (text, colour, width), height in zip(stack, heights, strict=True):
        face = colour or "white"
        _draw_box(axes, (0.5, height), (width, tall), face, colour or "0.6")
        ink = "white" if colour in ("black", MODELS["kan"].colour) else "black"
        axes.text(0.5, height - 0.003, text, ha="center", va="center", color=ink, zorder=5)
    for upper, lower in itertools.pairwise(heights):
        tip, wide = lower + tall / 2, 0.018
        axes.plot([0.5, 0.5], [upper - tall / 2, tip + 0.02], color="0.5", lw=1, zorder=1)
        corners = [(0.5 - wide, tip + 0.022), (0.5 + wide, tip + 0.022), (0.5, tip + 0.002)]
        axes.add_patch(Polygon(corners, color="0.5", lw=0, zorder=2))


def _prepare(axes: Axes, name: str, says: str) -> None:
    """An empty panel with a name and, smaller, what it says."""
    axes.set(xlim=(0, 1), ylim=(-0.1, 1.02))
    axes.set_axis_off()
    axes.set_title(name, fontsize=12, weight="bold", pad=20, loc="center")
    axes.text(0.5, 1.01, says, ha="center", va="bottom", fontsize=9, transform=axes.transAxes)


def _draw_box(
    axes: Axes, middle: tuple[float, float], size: tuple[float, float], face: str, edge: str
) -> None:
    corner = (middle[0] - size[0] / 2, middle[1] - size[1] / 2)
    style = "round,pad=0,rounding_size=0.02"
    box = FancyBboxPatch(corner, *size, boxstyle=style, facecolor=face, edgecolor=edge, zorder=3)
    axes.add_patch(box)


def _draw_node(axes: Axes, middle: tuple[float, float], text: str) -> None:
    axes.scatter(*middle, s=420, facecolor="white", edgecolor="black", lw=1.5, zorder=3)
    axes.text(*middle, text, ha="center", va="center", fontsize=11, zorder=4)
