"""Figures of errors and accuracies: against the code size, over the epochs, against rivals.

Nothing is computed here.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from kanlib.experiments.frames import SETTINGS, watched_loss
from kanlib.models.registry import MODELS
from kanlib.report.figures.style import (
    STYLE,
    by_label,
    direct_labels,
    grid,
    headline,
    look,
    plain_log_axis,
    plain_ticks,
)
from kanlib.report.labels import data_words, words
from kanlib.training.loop import History

_NEAR: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8, "color": "0.3"}


def against_bottleneck(
    table: pd.DataFrame,
    metric: str,
    *,
    title: str = "",
    published: pd.DataFrame | None = None,
    published_label: str = "AE-KAN, published",
    log: bool = False,
) -> Figure:
    """One line a model: a metric against the size of the code; a point a model at one size.

    Args:
        table: columns label, every parameter of the run, ``metric``, and ``metric``_sd (bars where
            not NaN).
        metric: column to draw.
        title: what the figure shows, a sentence.
        published: columns bottleneck, test_mse: the paper's curve between the sizes of ``table``,
            drawn behind.
        published_label: what it is called.
        log: logarithmic vertical axis, which ends at the power of ten below a hundredth of the
            largest value: with as many numbers as pixels PCA leaves rounding alone.

    Raises:
        ValueError: ``metric`` or its deviation is no column of ``table``.
    """
    if not {metric, f"{metric}_sd"} <= set(table):
        raise ValueError(
            f"metric={metric!r}: {metric} and {metric}_sd must be columns of table, {list(table)}"
        )
    sizes, models = sorted(table["bottleneck"].unique()), by_label(table)
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (7.5, 4.2))
        if published is not None:
            _draw_published(axes, published, sizes, published_label)
        for place, (name, rows) in enumerate(models.items()):
            where = rows["bottleneck"] if len(sizes) > 1 else [place]
            bars = rows[f"{metric}_sd"].fillna(0)
            axes.errorbar(where, rows[metric], yerr=bars, label=name, **look(rows.iloc[0]))
        axes.set(yscale="log" if log else "linear", ylabel=words(metric))
        if log:
            _end_above(axes, table[metric])
        if len(sizes) > 1:
            axes.set(xscale="log", xlabel=words("bottleneck"))
            plain_ticks(axes, sizes)
            direct_labels(axes)
        else:  # models side by side
            axes.set_xticks(range(len(models)), list(models), rotation=20, ha="right", fontsize=8)
            axes.set(xlabel=f"{words('bottleneck')} {sizes[0]}", xlim=(-0.5, len(models) - 0.5))
        headline(figure, title)
    return figure


def _end_above(axes: Axes, values: Any) -> None:
    """The end of a logarithmic axis of these values, and its ticks."""
    largest = values.max()
    end = 10 ** np.floor(np.log10(largest / 100))
    if axes.get_ylim()[0] < end:
        axes.set_ylim(end, 1.3 * largest)
    plain_log_axis(axes.yaxis)


def _draw_published(axes: Axes, curve: pd.DataFrame, sizes: list[int], label: str) -> None:
    """The paper's curve, as a grey band, where ``sizes`` are."""
    near = curve[curve["bottleneck"].between(sizes[0], sizes[-1])]
    if len(near):
        drawn: dict[str, Any] = {"color": "0.55", "lw": 5, "alpha": 0.5, "zorder": 1.5}
        axes.plot(near["bottleneck"], near["test_mse"], label=label, **drawn)


def elbows(curves: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], *, title: str = "") -> Figure:
    """Test error against the size of the code beside the published curve, a panel a data set.

    Args:
        curves: title of the panel -> our table, as for ``against_bottleneck``, and the paper's.
        title: what the figure shows, a sentence.
    """
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(1, len(curves), (3.3 * len(curves), 3.4))
        for axes, (name, (table, paper)) in zip(panels, curves.items(), strict=True):
            sizes = sorted(table["bottleneck"].unique())
            _draw_published(axes, paper, sizes, "published")
            for label, rows in by_label(table).items():
                style = look(rows.iloc[0]) | {"markersize": 4}
                axes.plot(rows["bottleneck"], rows["test_mse"], label=label, **style)
            axes.set(title=name, xscale="log", yscale="log", xlabel=words("bottleneck"))
            _end_above(axes, table["test_mse"])
            plain_ticks(axes, sizes)
            direct_labels(axes, size=8, height=2.4)
        panels[0].set_ylabel(words("test_mse"))
        headline(figure, title)
    return figure


def slopes(table: pd.DataFrame, ends: Mapping[str, str], *, ylabel: str, title: str = "") -> Figure:
    """How a number changes from one way of measuring to another: a line a model.

    Args:
        table: a row a model: label, every parameter of the run, and two columns of numbers.
        ends: these columns -> what they are called, from left to right.
        ylabel: what is measured.
        title: what the figure shows, a sentence.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (6, 4))
        for label, rows in by_label(table).items():
            values = rows.iloc[0][list(ends)].to_numpy(float)
            name = f"{label}  {values[1] - values[0]:+.3f}"
            axes.plot([0, 1], values, label=name, **look(rows.iloc[0]))
        axes.set_xticks([0, 1], list(ends.values()))
        axes.set(xlim=(-0.08, 1.02), ylabel=ylabel)
        axes.grid(axis="x", visible=False)
        direct_labels(axes)
        headline(figure, title)
    return figure


def factors(table: pd.DataFrame, *, title: str = "", xlabel: str = "") -> Figure:
    """How much each of several places changes a number: a line a place, from no change.

    Args:
        table: as ``kanlib.report.audit.by_effect`` returns; the full mark is "largest", the hollow
            one "usual".
        title: what the figure shows, a sentence.
        xlabel: below the axis.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (7.5, 0.36 * len(table) + 1))
        lines, colour = range(len(table)), MODELS["kan"].colour
        axes.hlines(lines, 1, table["largest"], color="0.75", lw=3, zorder=1)
        axes.plot(table["largest"], lines, "o", color=colour, ms=7)
        axes.plot(table["usual"], lines, "o", color=colour, ms=6, mfc="white")
        for line, largest, where in zip(lines, table["largest"], table["where"], strict=True):
            text = f"{largest:.2f}" if largest > 1.01 else f"{largest:.3f}"
            axes.annotate(f"{text}  ({where})", (largest, line), (8, -3), **_NEAR)
        axes.set_yticks(lines, [f"{place}:\n{row}" for place, row in table["changes"].items()])
        axes.tick_params(axis="y", length=0, labelsize=8)
        axes.set(xscale="log", xlim=(0.98, 1.45 * table["largest"].max()), xlabel=xlabel)
        axes.set_ylim(len(table) - 0.5, -0.5)
        axes.grid(axis="y", visible=False)
        plain_log_axis(axes.xaxis)
        headline(figure, title)
    return figure


def measures(
    table: pd.DataFrame, metrics: Sequence[str], *, log: Sequence[str] = (), title: str = ""
) -> Figure:
    """Metrics against the size of the code: one line of panels a data set, one column a metric.

    Args:
        table: columns label, every parameter of the run, and each metric and <metric>_sd (bars
            where not NaN).
        metrics: columns to draw.
        log: metrics to draw on a logarithmic axis.
        title: what the figure shows, a sentence.
    """
    sizes = sorted(table["bottleneck"].unique())
    groups = list(table.groupby("dataset", sort=False))
    with mpl.rc_context(STYLE):
        size = (4.6 * len(metrics), 2.7 * len(groups) + 0.4)
        figure, panels = grid(len(groups), len(metrics), size)
        for line, (dataset, here) in zip(panels, groups, strict=True):
            for axes, metric in zip(line, metrics, strict=True):
                for label, rows in by_label(here).items():
                    bars, drawn = rows[f"{metric}_sd"].fillna(0), look(rows.iloc[0])
                    where = rows["bottleneck"]
                    axes.errorbar(where, rows[metric], bars, label=label, capsize=3, **drawn)
                axes.set(title=dataset, xscale="log", ylabel=words(metric))
                if metric in log:
                    axes.set_yscale("log")
                    plain_log_axis(axes.yaxis)
                plain_ticks(axes, sizes)
                direct_labels(axes, size=8, height=2)
        for axes in panels[-1]:
            axes.set_xlabel(words("bottleneck"))
        headline(figure, title)
    return figure


def losses(history: History, *, title: str = "") -> Figure:
    """Training error of one run, and its test or validation error, after each epoch.

    Args:
        history: of the run.
        title: what the figure shows, a sentence.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (5, 3.2))
        drawn = ("training", history.train_loss, "--"), ("test", history.test_loss, "-")
        if history.validation_loss:
            drawn = drawn[0], ("validation", history.validation_loss, "-")
        for name, values, style in drawn:
            axes.plot(range(1, len(values) + 1), values, style, color="C0", marker=".", label=name)
        axes.set(xlabel="epoch", ylabel="mean squared error")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
        headline(figure, title)
    return figure


def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """The error after each epoch, a panel a size of the code: median and range over the seeds.

    Args:
        history: as ``kanlib.experiments.histories`` returns, with a column label. Of more than
            three sizes the smallest, the middle and the largest are drawn.
        title: what the figure shows, a sentence.
    """
    sizes = sorted(history["bottleneck"].unique())
    if len(sizes) > 3:
        sizes = [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    columns = max(1, len(sizes))  # without epochs (PCA alone) one empty panel
    with mpl.rc_context(STYLE):
        figure, [panels] = grid(1, columns, (2.7 * columns + 1.7, 3.2))
        for axes, size in zip(panels, sizes, strict=False):
            here: Any = history[history["bottleneck"] == size]
            for label, runs in by_label(here).items():
                seeds: Any = runs.groupby("epoch")[watched_loss(history)]
                style = look(runs.iloc[0]) | {"marker": None}
                ends = seeds.min(), seeds.max()
                axes.fill_between(ends[0].index, *ends, color=style["color"], alpha=0.2, lw=0)
                axes.plot(seeds.median(), label=label, **style)
            axes.set(title=f"{words('bottleneck')} {size}", xlabel="epoch", yscale="log")
            plain_log_axis(axes.yaxis)
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        direct_labels(panels[-1], height=2.3)
        panels[0].set_ylabel(words(watched_loss(history)))
        headline(figure, title)
    return figure


# Verdict -> marker, and what it is called.
MARKS = {"better": "<", "level": "D", "undecided": "o", "worse": ">"}


def differences(comparisons: pd.DataFrame, *, title: str = "") -> Figure:
    """Errors of KANs as multiples of their rivals': a panel a data set, a line a code size.

    An interval that reaches zero ends at the edge.

    Args:
        comparisons: as ``kanlib.report.claims.compare`` returns, of one metric. Those without an
            interval are left out.
        title: what the figure shows, a sentence.
    """
    drawn: Any = comparisons.dropna(subset=["low", "high"])
    rivals, kans = list(drawn["rival"].unique()), list(drawn["kan"].unique())
    places: Any = drawn.groupby("dataset", sort=False)["bottleneck"].unique()
    lines = 1 + max(map(len, places), default=0)  # of a rival: its name, and the code sizes
    with mpl.rc_context(STYLE):
        size = (3.0 * max(1, len(places)) + 0.3, 0.25 * lines * max(1, len(rivals)) + 1.4)
        figure, [panels] = grid(1, max(1, len(places)), size)
        for axes, (dataset, sizes) in zip(panels, places.items(), strict=False):
            axes.set(xscale="log", xlim=_ratios(drawn), title=data_words(dataset))
            axes.axvline(1, color="0.5", lw=1)
            here = drawn[drawn["dataset"] == dataset]
            heights = {
                (rival, size): lines * line + 1 + place
                for line, rival in enumerate(rivals)
                for place, size in enumerate(sorted(sizes))
            }
            for row in here.to_dict("records"):
                offset = 0.18 * (2 * kans.index(row["kan"]) - len(kans) + 1)
                _draw_interval(axes, row, heights[row["rival"], row["bottleneck"]] + offset)
            compared = set(zip(here["rival"], here["bottleneck"], strict=True))
            _name_lines(axes, heights, compared, lines)
        if len(places):
            _explain_marks(figure, drawn)
        headline(figure, title)
    return figure


def _ratios(drawn: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis of ratios: around all means, and what intervals reach above zero."""
    ratios: Any = drawn["kan_value"] / drawn["rival_value"]
    return ratios.min() / 2.2, max(1, ratios.max()) * 1.3


def _draw_interval(axes: Axes, row: dict[Any, Any], where: float) -> None:
    """One comparison; a hollow mark is no verdict."""
    ends = 1 + np.array([row["low"], row["difference"], row["high"]]) / row["rival_value"]
    low, middle, high = np.maximum(ends, axes.get_xlim()[0] / 2)
    colour = _look_of_kan(row)["color"]
    style: dict[str, Any] = {"color": colour, "marker": MARKS[row["verdict"]], "markersize": 5}
    if row["verdict"] == "undecided":
        style["markerfacecolor"] = "white"
    axes.errorbar(middle, where, xerr=[[middle - low], [high - middle]], lw=1.2, **style)


def _name_lines(
    axes: Axes,
    heights: Mapping[tuple[str, int], int],
    compared: set[tuple[str, int]],
    lines: int,
) -> None:
    """Code sizes as ticks, above those of each rival its name, and ratios below."""
    named = {place: height for place, height in heights.items() if place in compared}
    axes.set_yticks(list(named.values()), [str(size) for _, size in named])
    axes.set_ylim(max(heights.values()) + 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(labelsize=8)
    axes.grid(axis="y", visible=False)
    for line, rival in enumerate(dict.fromkeys(rival for rival, _ in heights)):
        trained = any(rival == other for other, _ in compared)
        name = f"against {rival}" + ("" if trained else ": not trained")
        drawn: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 8.5}
        drawn["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.text(0.02, lines * line, name, va="center", color="0.25", weight="bold", **drawn)
    low, high = axes.get_xlim()
    ratios = [base * 10.0**power for power in range(-3, 4) for base in (1, 2, 5)]
    axes.set_xticks([ratio for ratio in ratios if low <= ratio <= high], minor=False)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda ratio, _: f"{ratio:g}"))
    axes.xaxis.set_minor_locator(NullLocator())


def _explain_marks(figure: Figure, drawn: pd.DataFrame) -> None:
    """Colours and marks, below the panels."""
    for axes in figure.axes:
        axes.set_xlabel("error, as a multiple of the rival's")
    figure.axes[0].set_ylabel(words("bottleneck"))
    handles = []
    for kan, rows in by_label(drawn.assign(label=drawn["kan"])).items():
        handles.append(Line2D([], [], color=_look_of_kan(rows.iloc[0])["color"], lw=3, label=kan))
    for verdict, marker in MARKS.items():
        face = "white" if verdict == "undecided" else "0.3"
        style: dict[str, Any] = {"color": "0.3", "ls": "none", "markerfacecolor": face}
        handles.append(Line2D([], [], marker=marker, label=verdict, **style))
    legend: dict[str, Any] = {"loc": "outside lower center", "fontsize": 9}
    figure.legend(handles=handles, ncols=len(handles), **legend)


def _look_of_kan(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Of a row of ``kanlib.report.claims.compare``."""
    return look({name: row[f"kan_{name}"] for name in SETTINGS})
