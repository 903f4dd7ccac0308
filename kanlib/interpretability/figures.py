"""Figures of interpretability: edges, receptive fields, pruning, ablation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanlib.report.figures.style import NO_GRID, STYLE, grid, look

Array = NDArray[Any]
_LINES = {"spread": "-", "size": "--"}
_RULES = {"spread": "by spread", "size": "by size of weight"}
_SHADES = {"whole": "0.2", "cubic": "C0", "quadratic": "C9", "line": "C1", "constant": "0.8"}


def edges_of_a_pixel(arrays: Mapping[str, Array], where: str, *, title: str = "") -> Figure:
    """The edges from one pixel to the code, and from the code to it, each with its best line.

    Args:
        arrays: as ``kanlib.interpretability.study.edge_pictures`` returns.
        where: name of the pixel.
        title: above the panels.
    """
    rows = {"encoder": f"pixel {where}", "decoder": "unit of the code"}
    units = len(arrays["encoder_points"])
    with mpl.rc_context(STYLE):
        figure, panels = grid(2, units, (1.25 * units + 0.8, 3.6))
        for line, (part, name) in zip(panels, rows.items(), strict=True):
            drawn = [arrays[f"{part}_{key}"] for key in ("points", "values", "lines")]
            drawn[1:] = [curve - curve.mean(1, keepdims=True) for curve in drawn[1:]]
            reach = 1.1 * max(float(np.abs(curve).max()) for curve in drawn[1:])
            for unit, (axes, x, edge, best) in enumerate(zip(line, *drawn, strict=True)):
                axes.plot(x, edge, color="C0", label="edge function")
                axes.plot(x, best, "--", color="C1", lw=1, label="best line on the data")
                axes.set_ylim(-reach, reach)
                axes.tick_params(labelsize=6, labelleft=unit == 0)
                axes.set_title(f"{'to' if part == 'encoder' else 'from'} unit {unit}", fontsize=8)
            line[units // 2].set_xlabel(name, fontsize=8)
            line[0].set_ylabel(f"{part}'s edge", fontsize=8)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=2, fontsize=8)  # fmt: skip
        figure.suptitle(title, fontsize=10)
    return figure


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
        raise ValueError(f"before {before.shape} and kept {kept.shape} must be (O, C, H, W), both")
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
        curves: as ``kanlib.interpretability.tables.pruning_curves`` returns.
        title: above the panels.
    """
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(1, 2, (9.5, 4.2))
        for names, rows in curves.groupby(["label", "rule"], sort=False):
            label, rule = cast(tuple[str, str], names)
            drawn = look(label) | {"linestyle": _LINES[rule], "markersize": 4}
            name = f"{label}, {_RULES[rule]}"
            for axes, unit in zip(panels, ("kept", "numbers"), strict=True):
                shown = pd.DataFrame(rows[rows[unit] > 0]).fillna({"mse_sd": 0})
                axes.errorbar(shown[unit], shown["mse"], yerr=shown["mse_sd"], label=name, **drawn)
        for axes, name in zip(panels, ("fraction of the edges kept", "weights kept"), strict=True):
            axes.set(xscale="log", xlabel=name)
        panels[0].set_ylabel("test MSE")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=3, fontsize=8)  # fmt: skip
        figure.suptitle(title, fontsize=10)
    return figure


def ablation(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Bars: test error of each model, whole and with its curved functions replaced.

    Args:
        table: as ``tables.ablations`` returns; the rows of part "all" are drawn.
        title: above the bars.
    """
    rows = pd.DataFrame(table.xs("all", level="part"))[list(_SHADES)]
    return _bars(pd.DataFrame(rows), list(_SHADES.values()), "test MSE", title)


def formulas(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Bars: share of the variance of edges, and of noise, that lines and formulas explain.

    Args:
        table: index model; columns line_explained, explained, noise_line, noise_explained.
        title: above the bars.
    """
    names = {
        "line_explained": "edges, a line", "explained": "edges, a formula",
        "noise_line": "noise, a line", "noise_explained": "noise, a formula",
    }  # fmt: skip
    rows = pd.DataFrame(table[list(names)]).dropna().rename(columns=names)
    return _bars(rows, ["C0", "C9", "0.6", "0.8"], "share of the variance explained", title)


def _bars(table: pd.DataFrame, colours: Sequence[str], ylabel: str, title: str) -> Figure:
    """One group of bars a row, one bar a column."""
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (max(4.5, 1.4 * len(table) + 1.5), 3.4))
        width = 0.8 / table.shape[1]
        for place, (name, colour) in enumerate(zip(table, colours, strict=True)):
            middle = np.arange(len(table)) + (place - (table.shape[1] - 1) / 2) * width
            axes.bar(middle, table[name], width, color=colour, label=str(name))
        axes.set_xticks(range(len(table)), [str(name).replace(", ", ",\n") for name in table.index])
        axes.grid(axis="x", visible=False)
        axes.set(ylabel=ylabel, title=title)
        figure.legend(loc="outside right center", fontsize=8)
    return figure
