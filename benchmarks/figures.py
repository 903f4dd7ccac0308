"""Figures of the results: DataFrame in, Figure out; None where nothing of it was measured."""

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from benchmarks.rows import Table
from kanlib.report.figures import STYLE

# A competitor keeps its colour and marker; settings are filled, plain is open.
_LOOKS = {
    "KANLinear": ("C0", "o"),
    "KANLinear, scale kept": ("C4", "s"),
    "recursion": ("C1", "^"),
    "authors": ("C1", "^"),
    "pykan": ("C5", "v"),
    "sparse": ("C2", "P"),
    "dense limit": ("black", "*"),
    "MLP": ("C3", "D"),
    "CNN": ("C2", "^"),
}


def layers(rows: Table) -> Figure | None:
    """Speed-up of a layer over the recursion: first and inner by batch, all shapes."""
    rows = rows[rows["source"].str.startswith("layers")]
    if rows.empty:
        return None
    batches = sorted(rows["batch"].unique())
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.6 * len(batches), 7), layout="constrained")
        panels: Any = figure.subplots(2, len(batches), squeeze=False, sharey=True, sharex=True)
        for line, what in zip(panels, ("first layer", "inner layer"), strict=True):
            for axes, batch in zip(line, batches, strict=True):
                here = rows[(rows["what"] == what) & (rows["batch"] == batch)]
                _speedups(axes, here, "recursion")
                axes.set_title(f"{what}, batch {batch}", fontsize=10)
            line[0].set_ylabel("times as fast as the recursion")
        figure.supxlabel("inputs - outputs", fontsize=10)
        _legend(figure, panels)
    return figure


def models(rows: Table) -> Figure | None:
    """Speed-up of training step, epoch and inference, and share of the authors' memory."""
    rows = rows[rows["source"].str.startswith(("models", "memory"))]
    names = {  # title, and whose time or memory is 1
        "step": ("training step", "authors"),
        "epoch": ("epoch of MNIST", "authors"),
        "inference": ("reconstruction", "recursion"),
        "memory of step": ("1 / peak memory of a step", "authors"),
    }
    there = [what for what in names if what in set(rows["what"])]
    if not there:
        return None
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.6 * len(there) + 1, 3.8), layout="constrained")
        panels: Any = figure.subplots(1, len(there), squeeze=False)
        for axes, what in zip(panels[0], there, strict=True):
            title, reference = names[what]
            _speedups(axes, rows[rows["what"] == what], reference)
            one = "the authors' way" if reference == "authors" else reference
            axes.set_title(f"{title}\n({one} = 1)", fontsize=10)
        figure.supxlabel("pixels - bottleneck", fontsize=10)
        _legend(figure, panels)
    return figure


def growth(rows: Table) -> Figure | None:
    """Time and memory of an inner layer against grid size, order, batch and width."""
    start = {"grid_size": 5, "spline_order": 3, "batch": 64, "outputs": 150}
    names = {
        "grid_size": "grid size G",
        "spline_order": "order k",
        "batch": "batch",
        "outputs": "output features",
    }
    rows = _with_outputs(rows)
    sweeps = []
    for varied in names:
        fixed = [rows[name] == value for name, value in start.items() if name != varied]
        sweeps.append((varied, names[varied], rows[pd.concat(fixed, axis=1).all(axis=1)]))
    return _sweeps(sweeps)


def sparse(rows: Table) -> Figure | None:
    """Time and memory of an inner layer against grid size, at each width of the sweep."""
    rows = _with_outputs(rows)
    rows = rows[(rows["batch"] == 64) & (rows["spline_order"] == 3)]
    sweeps = [
        ("grid_size", f"grid size G, {outputs} outputs", here)
        for outputs, here in rows.groupby("outputs")
        if here["grid_size"].nunique() > 1
    ]
    return _sweeps(sweeps)


FIGURES: dict[str, Callable[[Table], Figure | None]] = {
    "layers": layers,
    "models": models,
    "growth": growth,
    "sparse": sparse,
}


def _with_outputs(rows: Table) -> Table:
    rows = rows[rows["source"].str.startswith("growth")]
    return rows.assign(outputs=rows["shape"].str.split("-").str[-1].astype(int))


def _sweeps(sweeps: list[tuple[str, str, Table]]) -> Figure | None:
    """A column for each (column that varies, its name, rows): time above, memory below."""
    sweeps = [sweep for sweep in sweeps if len(sweep[2])]
    if not sweeps:
        return None
    kinds = {"inner layer": "forward + backward, ms", "memory of inner layer": "peak memory, MiB"}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3.4 * len(sweeps) + 0.5, 6.4), layout="constrained")
        panels: Any = figure.subplots(2, len(sweeps), squeeze=False, sharey="row", sharex="col")
        for line, (what, unit) in zip(panels, kinds.items(), strict=True):
            for axes, (varied, name, rows) in zip(line, sweeps, strict=True):
                here = rows[rows["what"] == what].sort_values(varied)
                for label, points in here.groupby("label", sort=False):
                    _line(axes, points[varied], points, str(label))
                axes.set(xscale="linear" if varied == "spline_order" else "log", yscale="log")
                ticks = sorted(rows[varied].unique())
                axes.xaxis.set_minor_locator(NullLocator())
                axes.set_xticks(ticks, [str(tick) for tick in ticks])
                _plain_log(axes)
                axes.set_xlabel(name if what == "memory of inner layer" else "")
            line[0].set_ylabel(unit)
        _legend(figure, panels)
    return figure


def _line(axes: Axes, x: Table, points: Table, label: str) -> None:
    look = _look(label)
    style = "--" if "settings" in label else "-"
    axes.plot(x, points["median"], style, label=label, lw=1.2, **look)
    axes.fill_between(x, points["p10"], points["p90"], color=look["color"], alpha=0.12, lw=0)


def _speedups(axes: Axes, rows: Table, reference: str) -> None:
    """Reference over competitor for every shape; bars span the competitor's p10 to p90.

    Where more is better (images a second) the ratio is turned round.
    """
    shapes = list(dict.fromkeys(rows["shape"]))
    base = rows[rows["label"] == reference].set_index("shape")["median"]
    power = -1 if set(rows["unit"]) == {"images/s"} else 1
    labels = [label for label in dict.fromkeys(rows["label"]) if label != reference]
    for i, label in enumerate(labels):
        here = rows[rows["label"] == label].set_index("shape")
        here = here[here.index.isin(base.index)]
        middle, one, other = (
            (base[here.index] / here[column]) ** power for column in ("median", "p10", "p90")
        )
        x = [shapes.index(shape) + 0.6 * ((i + 0.5) / len(labels) - 0.5) for shape in here.index]
        ends = pd.concat([one, other], axis=1)
        bars = [middle - ends.min(axis=1), ends.max(axis=1) - middle]
        axes.errorbar(x, middle, yerr=bars, ls="", lw=1, label=label, **_look(label))
    axes.axhline(1, color=_LOOKS[reference][0], lw=1)
    axes.set_xticks(range(len(shapes)), shapes, rotation=45, ha="right", fontsize=8)
    axes.set(yscale="log")
    _plain_log(axes)


def _look(label: str) -> dict[str, Any]:
    color, marker = _LOOKS.get(label.removesuffix(" + settings"), ("0.5", "."))
    face = color if "settings" in label else "white"
    return {"color": color, "marker": marker, "markersize": 5, "markerfacecolor": face}


def _plain_log(axes: Axes) -> None:
    """0.5 1 2 5 10 on the vertical axis, instead of powers of ten."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, panels: Any) -> None:
    found = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    title = "without settings,\nunless it says so"  # the limit, too
    options: Any = {"fontsize": 8, "title": title, "title_fontsize": 8}
    figure.legend(found.values(), found.keys(), loc="outside right center", **options)
