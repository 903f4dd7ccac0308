"""Figures: DataFrames in, a matplotlib Figure out; one style; nothing is computed here.

The notebooks show and save what these functions return.
"""

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kanlib.report.figures.style import STYLE, grid, look, plain_log_axis, plain_ticks


def against_bottleneck(
    table: pd.DataFrame,
    metric: str,
    ylabel: str,
    *,
    title: str = "",
    published: pd.DataFrame | None = None,
    published_label: str = "AE-KAN, published",
    log: bool = False,
) -> Figure:
    """One line a model: a metric against the size of the code; a point a model at one size.

    Args:
        table: columns label, bottleneck, ``metric``, and ``metric``_sd (bars where not NaN).
        metric: column to draw.
        ylabel: what it is, with its unit or range.
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
    sizes, names = sorted(table["bottleneck"].unique()), list(table["label"].unique())
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (8, 4.5))
        if published is not None:
            near = published[published["bottleneck"].between(sizes[0], sizes[-1])]
            if len(near):
                axes.plot(
                    near["bottleneck"], near["test_mse"], color="0.6", lw=4, alpha=0.6,
                    label=published_label,
                )  # fmt: skip
        for place, name in enumerate(names):
            rows: Any = table[table["label"] == name]
            where, values = rows["bottleneck"] if len(sizes) > 1 else [place], rows[metric]
            bars = rows[f"{metric}_sd"].fillna(0)
            axes.errorbar(where, values, yerr=bars, label=name, **look(name))
        axes.set(yscale="log" if log else "linear", ylabel=ylabel, title=title)
        if log:
            plain_log_axis(axes.yaxis)
            # With as many numbers as pixels PCA leaves rounding alone: out through the bottom.
            axes.set_ylim(bottom=max(axes.get_ylim()[0], table[metric].max() / 1000))
        if len(sizes) > 1:
            axes.set(xscale="log", xlabel="bottleneck (numbers in the code)")
            plain_ticks(axes, sizes)
            figure.legend(loc="outside right center", fontsize=8)
        else:  # models side by side
            axes.set_xticks(range(len(names)), names, rotation=20, ha="right", fontsize=8)
            axes.set(xlabel=f"bottleneck {sizes[0]}", xlim=(-0.5, len(names) - 0.5))
    return figure


def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Test error after each epoch, a panel a bottleneck (six at most), a line a run.

    Args:
        history: columns label, bottleneck, seed, epoch (from 1), test_loss.
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
            here = history[history["bottleneck"] == size]
            for _, rows in here.groupby(["label", "seed"], sort=False):
                label = str(next(iter(rows["label"])))
                style = look(label) | {"markersize": 3 if len(rows) <= 40 else 0}
                axes.plot(rows["epoch"], rows["test_loss"], label=label, **style)
            axes.set(title=f"bottleneck {size}", xlabel="epoch", yscale="log")
            plain_log_axis(axes.yaxis)
        panels[0, 0].set_ylabel("test MSE")
        handles = dict(
            pair[::-1]
            for axes in panels.flat
            for pair in zip(*axes.get_legend_handles_labels(), strict=True)
        )
        figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8)
        figure.suptitle(title)
    return figure


def differences(comparisons: pd.DataFrame, *, title: str = "") -> Figure:
    """Relative differences with their intervals: a panel a rival, a line a data set and bottleneck.

    Args:
        comparisons: columns rival, kan, dataset, bottleneck, rival_value, difference, low, high
            (of the difference; NaN: no bar), verdict ("undecided" and "level" are drawn pale).
        title: above the panels.
    """
    rivals = list(comparisons["rival"].unique())
    places = list(
        dict.fromkeys(zip(comparisons["dataset"], comparisons["bottleneck"], strict=True))
    )
    kans = list(comparisons["kan"].unique())
    with mpl.rc_context(STYLE):
        size = (2.7 * len(rivals) + 1.5, 0.3 * len(kans) * len(places) + 1.6)
        figure, panels = grid(1, len(rivals), size, share=True)
        for axes, rival in zip(panels[0], rivals, strict=True):
            axes.axvline(0, color="0.5", lw=1)
            for offset, kan in zip(np.linspace(-0.25, 0.25, len(kans)), kans, strict=True):
                chosen = (comparisons["rival"] == rival) & (comparisons["kan"] == kan)
                rows: Any = comparisons[chosen]
                style = look(kan) | {"linestyle": "none"}
                axes.plot([], [], label=kan, **style)
                for row in rows.itertuples():
                    ends = np.array([row.low, row.difference, row.high])
                    low, middle, high = 100 * ends / row.rival_value
                    where = places.index((row.dataset, row.bottleneck)) + offset
                    style["alpha"] = 0.3 if row.verdict in ("undecided", "level") else 1
                    axes.errorbar(middle, where, xerr=[[middle - low], [high - middle]], **style)
            axes.set_title(f"against {rival}", fontsize=10)
            axes.set_xscale("symlog", linthresh=50)  # PCA can be tens of times better
            axes.set_xticks([-100, 0, 100, 1000], ["-100", "0", "100", "1000"])
        panels[0, 0].set_yticks(range(len(places)), [f"{data} {size}" for data, size in places])
        panels[0, 0].invert_yaxis()
        figure.supxlabel(
            "test MSE, % above the rival's (left: the KAN is better; pale: level or undecided; "
            "logarithmic beyond 50)",
            fontsize=10,
        )
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside upper center",
                      ncols=len(kans), fontsize=8)  # fmt: skip
        figure.suptitle(title)
    return figure
