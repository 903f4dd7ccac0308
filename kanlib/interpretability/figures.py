"""Figures of interpretability: edges, receptive fields, pruning, ablation."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanlib.report.figures.style import NO_GRID, STYLE, grid, look

Array = NDArray[Any]
_LINES = {"spread": "-", "size": "--"}
_RULES = {"spread": "by spread", "size": "by size of weight"}
# Okabe and Ito's colours: blue is the model's own, orange what is put in its place.
_BLUE, _SKY, _ORANGE, _GREY, _PALE = "#0072B2", "#56B4E9", "#E69F00", "0.6", "0.8"
_SHADES = {"whole": "0.2", "cubic": _BLUE, "quadratic": _SKY, "line": _ORANGE, "constant": _PALE}


def edges_of_a_pixel(arrays: Mapping[str, Array], where: str, *, title: str = "") -> Figure:
    """The edges from one pixel to the code, and from the code to it, each with its best line.

    Args:
        arrays: as ``kanlib.interpretability.pictures.edge_pictures`` returns.
        where: name of the pixel.
        title: above the panels.
    """
    rows = {"encoder": f"pixel {where}", "decoder": "unit of the code"}
    units = len(arrays["encoder_points"])
    with mpl.rc_context(STYLE):
        figure, panels = grid(2, units, (1.25 * units + 0.8, 3.6))
        for line, (part, name) in zip(panels, rows.items(), strict=True):
            points, values, lines = (arrays[f"{part}_{n}"] for n in ("points", "values", "lines"))
            values, lines = (curves - curves.mean(1, keepdims=True) for curves in (values, lines))
            reach = 1.1 * max(float(np.abs(curves).max()) for curves in (values, lines))
            for unit, axes in enumerate(line):
                axes.plot(points[unit], values[unit], color=_BLUE, label="edge function")
                axes.plot(points[unit], lines[unit], "--", color=_ORANGE, lw=1, label=_BEST)
                axes.set_ylim(-reach, reach)
                axes.tick_params(labelsize=6, labelleft=unit == 0)
                axes.set_title(f"{'to' if part == 'encoder' else 'from'} unit {unit}", fontsize=8)
            line[units // 2].set_xlabel(name, fontsize=8)
            line[0].set_ylabel(f"{part}'s edge", fontsize=8)
        _legend(figure, panels[0, 0], columns=2)
        figure.suptitle(title, fontsize=10)
    return figure


_BEST = "best line on the data"


def receptive_fields(before: Array, kept: Array, *, title: str = "") -> Figure:
    """What each unit looks at, before and after pruning: red raises it, blue lowers it.

    Args:
        before: (O, C, H, W) spread of every edge, with the sign of its slope; colours are averaged.
        kept: likewise, whether an edge is left.
        title: above the panels.

    Raises:
        ValueError: shapes that differ.
    """
    if before.ndim != 4 or before.shape != kept.shape:
        raise ValueError(
            f"before of shape {before.shape} and kept of shape {kept.shape} must be (O, C, H, W), "
            "both"
        )
    rows = {"all edges": before.mean(1), "a tenth left": (before * kept).mean(1)}
    with mpl.rc_context(STYLE | NO_GRID):
        figure, panels = grid(2, len(before), (0.95 * len(before) + 1.4, 2.5))
        for line, (name, maps) in zip(panels, rows.items(), strict=True):
            for unit, (axes, field) in enumerate(zip(line, maps, strict=True)):
                reach = np.abs(before[unit]).max()
                axes.imshow(field, cmap="RdBu_r", vmin=-reach, vmax=reach)
                axes.set(xticks=[], yticks=[])
                if name == "all edges":
                    axes.set_title(f"unit {unit}", fontsize=8)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=8)
        figure.suptitle(title, fontsize=10)
    return figure


def pruning(curves: pd.DataFrame, *, title: str = "") -> Figure:
    """Test error against what is left of each model: its edges, and the weights on them.

    Args:
        curves: what ``kanlib.interpretability.tables.pruning_curves`` returns, with a column label,
            of one data set and code size.
        title: above the panels.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("curves", curves)
    names = {"kept": "fraction of the edges kept", "numbers": "weights kept"}
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(1, 2, (9.5, 4.2))
        groups: Any = curves.groupby(["label", "rule"], sort=False)
        for (label, rule), rows in groups:
            style = look(rows.iloc[0]) | {"linestyle": _LINES[rule], "markersize": 4}
            for axes, unit in zip(panels, names, strict=True):
                shown = rows[rows[unit] > 0]  # the axis is logarithmic
                bars = shown["mse_sd"].fillna(0)
                name = f"{label}, {_RULES[rule]}"
                axes.errorbar(shown[unit], shown["mse"], yerr=bars, label=name, **style)
        for axes, name in zip(panels, names.values(), strict=True):
            axes.set(xscale="log", xlabel=name)
        panels[0].set_ylabel("test error")
        _legend(figure, panels[0], columns=3)
        figure.suptitle(title, fontsize=10)
    return figure


def ablation(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Bars: test error of each model with the curves of its encoder, or decoder, replaced.

    Args:
        table: what ``kanlib.interpretability.tables.ablations`` returns, with a column label, of
            one data set and code size.
        title: above the panels.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("table", table)
    parts: dict[Any, pd.DataFrame] = dict(tuple(table.groupby("part")))
    width = 2 * max(3.5, 1.1 * len(parts["encoder"])) + 1.5
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(1, 2, (width, 3.4), share=True)
        for axes, part in zip(panels, ("encoder", "decoder"), strict=True):
            _bars(axes, parts[part], {name: name for name in _SHADES}, _SHADES)
            axes.set_title(f"curves of the {part} replaced", fontsize=10)
        panels[0].set_ylabel("test error")
        _legend(figure, panels[0], columns=len(_SHADES))
        figure.suptitle(title, fontsize=10)
    return figure


def formulas(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Bars: share of the variance of edges, and of noise, that lines and formulas explain.

    Args:
        table: means over seeds of what ``kanlib.interpretability.tables.measures`` returns, with a
            column label, of one data set and code size. Models without formulas are left out.
        title: above the bars.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("table", table)
    names = {
        "line_explained": "edges, a line",
        "explained": "edges, a formula",
        "noise_line": "noise, a line",
        "noise_explained": "noise, a formula",
    }
    rows = table.dropna(subset=list(names))
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (max(4.5, 1.4 * len(rows) + 3), 3.4))
        _bars(axes, rows, names, dict(zip(names, (_BLUE, _SKY, _GREY, _PALE), strict=True)))
        axes.set(ylabel="share of the variance explained", title=title)
        _legend(figure, axes, columns=2)
    return figure


def _bars(
    axes: Axes, table: pd.DataFrame, names: Mapping[str, str], colours: Mapping[str, str]
) -> None:
    """One group of bars a row, one bar for each of the columns ``names``."""
    width = 0.8 / len(names)
    for place, (column, name) in enumerate(names.items()):
        middle = np.arange(len(table)) + (place - (len(names) - 1) / 2) * width
        axes.bar(middle, table[column], width, color=colours[column], label=name)
    labels = [label.replace(", ", ",\n") for label in table["label"]]
    axes.set_xticks(range(len(table)), labels, fontsize=8)
    axes.grid(axis="x", visible=False)


def _legend(figure: Figure, axes: Axes, columns: int) -> None:
    """Below the panels, as one of them has it."""
    lines = axes.get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=columns, fontsize=8)


def _check_place(name: str, table: pd.DataFrame) -> None:
    """Models are drawn beside each other, and so must be of one data set and code size."""
    places: Any = table[["dataset", "bottleneck"]].drop_duplicates()
    if len(places) != 1:
        raise ValueError(
            f"{name} is of {places.values.tolist()}; must be of one data set and code size"
        )
