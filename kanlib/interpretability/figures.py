"""Figures of interpretability: verdicts, edges, ablation, formulas, pruning.

A title is the message. Where it has numbers, they are taken from what is drawn.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter
from numpy.typing import NDArray

from kanlib.experiments.frames import SETTINGS
from kanlib.interpretability.comparisons import MEASURES
from kanlib.models.registry import MODELS
from kanlib.report.figures.style import STYLE, by_label, direct_labels, grid, headline, look

Array = NDArray[Any]
PARTS = ("encoder", "decoder")
FEW = 0.05  # fraction of the edges that the title of ``pruning`` is about
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)  # of the fraction of the edges
# Okabe and Ito's colours: blue is the model's own, orange what is put in its place.
_BLUE, _SKY, _ORANGE, _GREY, _PALE = "#0072B2", "#56B4E9", "#E69F00", "0.6", "0.8"
_REPLACED = {"line": ("a line", _ORANGE), "quadratic": ("a parabola", _SKY)}
_REPLACED |= {"cubic": ("a cubic", _BLUE)}
_EXPLAINED = {"line": ("edges, by a line", _ORANGE), "explained": ("edges, by a formula", _BLUE)}
_EXPLAINED |= {"noise_line": ("noise, by a line", _GREY)}
_EXPLAINED |= {"noise_explained": ("noise, by a formula", _PALE)}


def comparisons(table: pd.DataFrame) -> Figure:
    """KANs against rivals: each measure of interpretability, with the interval of the difference.

    Args:
        table: what ``kanlib.interpretability.comparisons.compare`` returns, of one data set and
            code size. Differences are drawn in percent of the rival's value, better to the right;
            markers of decided ones are filled. A rival that was not compared has no panel, and one
            whose value is 0 no point.

    Raises:
        ValueError: there are several data sets or code sizes, or nothing was compared.
    """
    _check_place("table", table)
    counted: Any = table[(table["about"] != "error") & table["difference"].notna()]
    drawn: Any = counted[counted["rival_value"] != 0]
    if drawn.empty:
        raise ValueError(f"table has {len(table)} rows, of no comparison; must have one or more")
    names = [name for name, measure in MEASURES.items() if measure.about != "error"]
    rivals, kans = list(drawn["rival"].unique()), list(drawn["kan"].unique())
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(
            1, len(rivals), (max(6.8, 2.2 * len(rivals) + 2.9), 3.6), share=True
        )
        for axes, rival in zip(panels, rivals, strict=True):
            axes.axvline(0, color="0.5", lw=1)
            for row in drawn[drawn["rival"] == rival].to_dict("records"):
                offset = 0.3 * (kans.index(row["kan"]) - (len(kans) - 1) / 2)
                _interval(axes, row, names.index(row["measure"]) + offset)
            axes.set_title(f"against {rival}", fontsize=9)
            axes.set_xlabel(
                "worse  \N{LEFTWARDS ARROW}  difference, %  \N{RIGHTWARDS ARROW}  better",
                fontsize=8,
            )
        for kan, rows in by_label(drawn.assign(label=drawn["kan"])).items():
            panels[0].plot([], [], label=kan, **_look_of_kan(rows.iloc[0]))
        for name, colour in (("decided", _GREY), ("undecided", "white")):
            panels[0].plot([], [], "o", ms=5, color=_GREY, markerfacecolor=colour, label=name)
        panels[0].set_yticks(range(len(names)), [MEASURES[name].title for name in names])
        panels[0].invert_yaxis()
        _legend(figure, panels[0], columns=len(kans) + 2)
        headline(figure, _of_measures(counted))
    return figure


def _of_measures(counted: pd.DataFrame) -> str:
    """By how many measures the first KAN is better and worse than the first rival."""
    kan, rival = counted["kan"].iloc[0], counted["rival"].iloc[0]
    found = list(counted[(counted["kan"] == kan) & (counted["rival"] == rival)]["verdict"])
    better, worse = found.count("better"), found.count("worse") or "none"
    said = f"{kan} against {rival}: better by {better} of {len(found)} measures, worse by {worse}"
    return said[0].upper() + said[1:]


def _interval(axes: Axes, row: Mapping[Any, Any], where: float) -> None:
    """One comparison, in percent of the rival's value; without an interval, its point."""
    sign = 1 if MEASURES[row["measure"]].larger_is_better else -1
    ends = np.array([row["low"], row["difference"], row["high"]])
    low, middle, high = 100 * sign * ends[::sign] / row["rival_value"]
    style = _look_of_kan(row)
    decided = row["verdict"] in ("better", "worse")
    style["markerfacecolor"] = style["color"] if decided else "white"
    axes.errorbar(middle, where, xerr=[[middle - low], [high - middle]], **style)


def _look_of_kan(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Of a row of ``compare``; without a line."""
    return look({name: row[f"kan_{name}"] for name in SETTINGS}) | {"linestyle": "none"}


def edges_of_a_pixel(arrays: Mapping[str, Array], *, title: str = "") -> Figure:
    """The edges from one pixel to the code, and from the code to it, each with its best line.

    Args:
        arrays: as ``kanlib.interpretability.pictures.edge_pictures`` returns.
        title: what the figure shows, a sentence.
    """
    names = {
        "encoder": "encoder: from the pixel to each number of the code",
        "decoder": "decoder: from each number of the code to the same pixel",
    }
    units = len(arrays["encoder_points"])
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(1.02 * units + 0.9, 4.2), layout="constrained")
        parts: Any = figure.subfigures(2, 1)
        for part, (name, text) in zip(parts, names.items(), strict=True):
            part.suptitle(text, fontsize=9, fontweight="normal", x=0.01, ha="left")
            panels = part.subplots(1, units, sharey=True, squeeze=False)[0]
            points, values, lines = (arrays[f"{name}_{n}"] for n in ("points", "values", "lines"))
            _edges(panels, points, values, lines)
        _legend(figure, parts[0].axes[0], columns=2)
        headline(figure, title)
    return figure


def _edges(panels: Sequence[Axes], points: Array, values: Array, lines: Array) -> None:
    """Functions and their best lines, (E, P) each, shifted to mean 0."""
    values, lines = (curves - curves.mean(1, keepdims=True) for curves in (values, lines))
    reach = 1.1 * max(float(np.abs(curves).max()) for curves in (values, lines))
    for unit, axes in enumerate(panels):
        axes.plot(points[unit], values[unit], color=_BLUE, label="function on the edge")
        axes.plot(points[unit], lines[unit], "--", color=_ORANGE, lw=1, label="its best line")
        ends = points[unit][[0, -1]]
        axes.set(ylim=(-reach, reach), xticks=ends, xticklabels=[f"{end:.1f}" for end in ends])
        axes.tick_params(labelsize=7, labelleft=unit == 0)


def ablation(table: pd.DataFrame) -> Figure:
    """Bars: the rise of each model's test error with the curves of a part replaced.

    Args:
        table: what ``kanlib.interpretability.tables.ablations`` returns, with a column label, of
            one data set and code size.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("table", table)
    with mpl.rc_context(STYLE):
        width = 2 * max(3.4, 0.85 * len(set(table["label"]))) + 0.8
        figure, [panels] = grid(1, 2, (width, 3.6), share=True)
        for axes, part in zip(panels, PARTS, strict=True):
            rows: Any = table[table["part"] == part]
            rises = {name: rows[name] / rows["whole"] - 1 for name in _REPLACED}
            _bars(axes, rows.assign(**rises), _REPLACED, written="line")
            axes.set_title(f"in the {part}")
        panels[0].set_ylabel("rise of the test error")
        _legend(figure, panels[0], columns=3)
        headline(figure, f"Curves replaced by lines: {_rises(table)}")
    return figure


def _rises(table: pd.DataFrame) -> str:
    """What lines do to the error of the first KAN."""
    first = _first_kan(table)
    rises = (first["line"] / first["whole"] - 1).set_axis(first["part"])
    return (
        f"{first['label'].iloc[0]}'s error rises by {rises['encoder']:.0%} in the encoder, "
        f"by {rises['decoder']:.0%} in the decoder"
    )


def formulas(table: pd.DataFrame) -> Figure:
    """Bars: share of the variance of edges, and of noise, that lines and formulas explain.

    Args:
        table: what ``kanlib.interpretability.tables.formulas`` returns, with a column label, of
            one data set and code size.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("table", table)
    first = _first_kan(table).set_index("part")
    with mpl.rc_context(STYLE):
        width = 2 * max(3.4, 1.6 * len(set(table["label"]))) + 0.8
        figure, [panels] = grid(1, 2, (width, 3.4), share=True)
        for axes, part in zip(panels, PARTS, strict=True):
            rows: Any = table[table["part"] == part]
            _bars(axes, rows, _EXPLAINED, written="line")
            axes.set_title(f"edges of the {part}")
        panels[0].set_ylabel("variance explained")
        _legend(figure, panels[0], columns=4)
        shares = [f"{first.loc[part, 'line']:.0%}" for part in PARTS]
        name = first["label"].iloc[0]
        said = "A line explains {} of an edge of {} in the encoder, {} in the decoder"
        headline(figure, said.format(shares[0], name, shares[1]))
    return figure


def pruning(curves: pd.DataFrame) -> Figure:
    """Test error against the edges that are left, the least important ones removed first.

    Args:
        curves: what ``kanlib.interpretability.tables.pruning_curves`` returns, with a column label,
            of one data set and code size. Edges pruned by the size of their weights are left out.

    Raises:
        ValueError: there are several data sets or code sizes.
    """
    _check_place("curves", curves)
    shown: Any = curves[(curves["rule"] == "spread") & (curves["kept"] > 0)]  # a logarithmic axis
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (8, 4.2))
        for label, rows in by_label(shown).items():
            style = look(rows.iloc[0]) | {"linestyle": "-", "markersize": 4}
            by_size: Any = rows.sort_values("kept")
            bars = by_size["mse_sd"].fillna(0)
            axes.errorbar(by_size["kept"], by_size["mse"], yerr=bars, label=label, **style)
        axes.axvline(FEW, color="0.5", lw=1, zorder=0)
        axes.set(xscale="log", xlabel="edges kept", ylabel="test error", xlim=(0.009, 1.05))
        axes.set_xticks(_TICKS)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda kept, _: f"{kept:.0%}"))
        axes.xaxis.set_minor_locator(NullLocator())
        direct_labels(axes)
        headline(figure, _with_few(shown))
    return figure


def _with_few(shown: Any) -> str:
    """The errors of the first KAN, and of the first model that is none, with few of their edges."""
    said = {}
    for row in shown[shown["kept"] == FEW].to_dict("records"):
        said.setdefault(MODELS[row["model"]].on_edges, f"{row['mse']:.3f} for {row['label']}")
    errors = [said[on_edges] for on_edges in (True, False) if on_edges in said]
    return f"With {FEW:.0%} of the edges, the test error is {' and '.join(errors)}"


def _first_kan(table: pd.DataFrame) -> Any:
    """The rows of the first KAN."""
    pairs = zip(table["label"], table["model"], strict=True)
    label = next(label for label, model in pairs if MODELS[model].on_edges)
    return table[table["label"] == label]


def _bars(
    axes: Axes, table: pd.DataFrame, columns: Mapping[str, tuple[str, str]], *, written: str
) -> None:
    """One group of bars a row, one bar for each of ``columns``: its name and colour."""
    width = 0.8 / len(columns)
    for place, (column, (name, colour)) in enumerate(columns.items()):
        middle = np.arange(len(table)) + (place - (len(columns) - 1) / 2) * width
        bars = axes.bar(middle, table[column], width, color=colour, label=name)
        if column == written:
            axes.bar_label(bars, [f"{value:.0%}" for value in table[column]], fontsize=8)
    labels = [label.replace(", ", ",\n") for label in table["label"]]
    axes.set_xticks(range(len(table)), labels, fontsize=8)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
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
