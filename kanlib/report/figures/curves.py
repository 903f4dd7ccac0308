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
from matplotlib.ticker import MaxNLocator

from kanlib.experiments.frames import SETTINGS
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
from kanlib.report.labels import words


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
        title: above the axes.
        published: columns bottleneck, test_mse: the paper's curve between the sizes of ``table``,
            drawn behind.
        published_label: what the legend calls it.
        log: logarithmic vertical axis, down to a thousandth of the largest value at most.

    Raises:
        ValueError: ``metric`` or its deviation is no column of ``table``.
    """
    if not {metric, f"{metric}_sd"} <= set(table):
        raise ValueError(
            f"metric={metric!r}: {metric} and {metric}_sd must be columns of table, {list(table)}"
        )
    sizes, models = sorted(table["bottleneck"].unique()), by_label(table)
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (8, 4.5))
        if published is not None:
            _draw_published(axes, published, sizes, published_label)
        for place, (name, rows) in enumerate(models.items()):
            where = rows["bottleneck"] if len(sizes) > 1 else [place]
            bars = rows[f"{metric}_sd"].fillna(0)
            axes.errorbar(where, rows[metric], yerr=bars, label=name, **look(rows.iloc[0]))
        axes.set(yscale="log" if log else "linear", ylabel=words(metric), title=title)
        if log:
            plain_log_axis(axes.yaxis)
            # With as many numbers as pixels PCA leaves rounding alone: out through the bottom.
            axes.set_ylim(bottom=max(axes.get_ylim()[0], table[metric].max() / 1000))
        if len(sizes) > 1:
            axes.set(xscale="log", xlabel=words("bottleneck"))
            plain_ticks(axes, sizes)
            figure.legend(loc="outside right center", fontsize=8)
        else:  # models side by side
            axes.set_xticks(range(len(models)), list(models), rotation=20, ha="right", fontsize=8)
            axes.set(xlabel=f"{words('bottleneck')} {sizes[0]}", xlim=(-0.5, len(models) - 0.5))
    return figure


def _draw_published(axes: Axes, curve: pd.DataFrame, sizes: list[int], label: str) -> None:
    """The paper's curve, as a grey band, where ``sizes`` are."""
    near = curve[curve["bottleneck"].between(sizes[0], sizes[-1])]
    if len(near):
        drawn: dict[str, Any] = {"color": "0.6", "lw": 4, "alpha": 0.6}
        axes.plot(near["bottleneck"], near["test_mse"], label=label, **drawn)


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


def losses(train: Sequence[float], test: Sequence[float]) -> Figure:
    """Training and test error of one run after each epoch.

    Args:
        train: mean squared error of each epoch.
        test: likewise.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (4.5, 3))
        for name, values, style in (("training", train, "--"), ("test", test, "-")):
            axes.plot(range(1, len(values) + 1), values, style, color="C0", marker=".", label=name)
        axes.set(xlabel="epoch", ylabel="mean squared error")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Test error after each epoch, a panel a size of the code (six at most), a line a run.

    Args:
        history: as ``kanlib.experiments.histories`` returns, with a column label.
        title: above the panels.
    """
    sizes = sorted(history["bottleneck"].unique())
    if len(sizes) > 6:
        sizes = [sizes[place] for place in np.linspace(0, len(sizes) - 1, 6).round().astype(int)]
    columns = max(1, len(sizes))  # without epochs (PCA alone) one empty panel
    with mpl.rc_context(STYLE):
        width = max(3.2 * columns + 1.5, 6.5)  # room for the title
        figure, panels = grid(1, columns, (width, 3.4))
        for axes, size in zip(panels.flat, sizes, strict=False):
            here: Any = history[history["bottleneck"] == size]
            for label, runs in by_label(here).items():
                for _, rows in runs.groupby("seed", sort=False):
                    style = look(rows.iloc[0]) | {"markersize": 3 if len(rows) <= 40 else 0}
                    axes.plot(rows["epoch"], rows["test_loss"], label=label, **style)
            axes.set(title=f"{words('bottleneck')} {size}", xlabel="epoch", yscale="log")
            plain_log_axis(axes.yaxis)
        panels[0, 0].set_ylabel(words("test_loss"))
        figure.legend(*_legend(panels), loc="outside right center", fontsize=8)
        figure.suptitle(title)
    return figure


def differences(comparisons: pd.DataFrame, *, title: str = "") -> Figure:
    """Relative differences with their intervals: a panel a rival, a line a data set and code size.

    Args:
        comparisons: as ``kanlib.report.claims.compare`` returns, of one metric. Those without an
            interval are left out; "undecided" and "level" are drawn pale.
        title: above the panels.
    """
    drawn: Any = comparisons.dropna(subset=["low", "high"])
    rivals, kans = list(drawn["rival"].unique()), list(drawn["kan"].unique())
    places = list(dict.fromkeys(zip(drawn["dataset"], drawn["bottleneck"], strict=True)))
    with mpl.rc_context(STYLE):
        size = (2.7 * len(rivals) + 1.5, 0.3 * len(kans) * len(places) + 1.6)
        figure, panels = grid(1, max(1, len(rivals)), size, share=True)
        for axes, rival in zip(panels[0], rivals, strict=False):
            axes.axvline(0, color="0.5", lw=1)
            for offset, kan in zip(np.linspace(-0.25, 0.25, len(kans)), kans, strict=True):
                rows = drawn[(drawn["rival"] == rival) & (drawn["kan"] == kan)]
                for row in rows.to_dict("records"):
                    where = places.index((row["dataset"], row["bottleneck"])) + offset
                    _draw_interval(axes, row, where)
            axes.set_title(f"against {rival}", fontsize=10)
            axes.set_xscale("symlog", linthresh=50)  # PCA can be tens of times better
            axes.set_xticks([-100, 0, 100, 1000], ["-100", "0", "100", "1000"])
        for kan, rows in by_label(drawn.assign(label=drawn["kan"])).items():
            panels[0, 0].plot([], [], label=kan, **_look_of_kan(rows.iloc[0]))
        panels[0, 0].set_yticks(range(len(places)), [f"{data} {size}" for data, size in places])
        panels[0, 0].invert_yaxis()
        figure.supxlabel(
            "test error, % above the rival's (left: the KAN is better; pale: level or undecided; "
            "logarithmic beyond 50)",
            fontsize=10,
        )
        legend: dict[str, Any] = {"loc": "outside upper center", "fontsize": 8}
        figure.legend(*_legend(panels), ncols=max(1, len(kans)), **legend)
        figure.suptitle(title)
    return figure


def _draw_interval(axes: Axes, row: dict[Any, Any], where: float) -> None:
    """One comparison, in percent of the rival's error."""
    style = _look_of_kan(row)
    ends = np.array([row["low"], row["difference"], row["high"]])
    low, middle, high = 100 * ends / row["rival_value"]
    style["alpha"] = 0.3 if row["verdict"] in ("undecided", "level") else 1
    axes.errorbar(middle, where, xerr=[[middle - low], [high - middle]], **style)


def _look_of_kan(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Of a row of ``kanlib.report.claims.compare``; without a line."""
    return look({name: row[f"kan_{name}"] for name in SETTINGS}) | {"linestyle": "none"}


def _legend(panels: Any) -> tuple[list[Any], list[str]]:
    """Handles and labels of all panels, each label once."""
    found: dict[str, Any] = {}
    for axes in panels.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    return list(found.values()), list(found)
