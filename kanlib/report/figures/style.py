"""One style for all figures, and how they are saved."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from kanlib.files import atomic_file
from kanlib.models.registry import MODELS
from kanlib.report.columns import configuration
from kanlib.training.config import OF_GRIDS, TrainingConfig

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "figure.dpi": 150,  # in notebooks too, which show it no wider than the page
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "pdf.fonttype": 42,
    "text.parse_math": False,  # a name may have a $
}
_LETTERS = 14  # of a title, that an inch takes
NO_GRID: dict[Any, Any] = {"axes.grid": False}  # put over STYLE where images are drawn


def save(figure: Figure, folder: str | Path, stem: str) -> list[Path]:
    """Write <stem>.png and <stem>.pdf, the same bytes each time; returns their paths."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{stem}.png", folder / f"{stem}.pdf"]
    options: list[dict[str, Any]] = [
        {"format": "png", "dpi": 150, "metadata": {"Software": None}},
        {"format": "pdf", "metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    ]
    for path, option in zip(paths, options, strict=True):
        with atomic_file(path) as temporary, mpl.rc_context(STYLE):
            figure.savefig(temporary, **option)
    return paths


def grid(
    lines: int, columns: int, size: tuple[float, float], *, share: bool = False
) -> tuple[Figure, Any]:
    """A figure of its own, outside pyplot's list of open ones, and its axes (lines, columns).

    Args:
        lines: of panels.
        columns: of panels.
        size: width and height, inches.
        share: one scale for all panels.
    """
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)  # keeps one image to measure texts on; else each text makes its own
    return figure, figure.subplots(lines, columns, squeeze=False, sharex=share, sharey=share)


def headline(figure: Figure, text: str) -> None:
    """A message above all panels, at the left, where reading starts."""
    if text:
        width = int(_LETTERS * figure.get_figwidth())
        lines = "\n".join(on_lines(line, width) for line in text.split("\n"))
        figure.suptitle(lines, x=0.01, ha="left")


def on_lines(name: str, width: int = 50) -> str:
    """A name on as many lines as it takes; matplotlib would leave out one that starts with "_"."""
    text = textwrap.fill(name, width, break_on_hyphens=False)
    return f" {text}" if text.startswith("_") else text


def direct_labels(axes: Axes, *, size: float = 8.5, height: float = 3.2) -> None:
    """Write the name of each line beside its right end, in its colour.

    A line that leaves the axes is named where it does. Names keep a distance from each other. Call
    it when the limits of the axes are set.

    Args:
        axes: its lines, or error bars, have labels.
        size: of the letters, points.
        height: of the axes, inches, as nearly as it is known.
    """
    from scipy.optimize import isotonic_regression  # for lines alone: others need not wait

    place = axes.transData + axes.transAxes.inverted()
    low, high = axes.get_ylim()
    named = []
    handles: Any = axes.get_legend_handles_labels()
    for handle, name in zip(*handles, strict=True):
        line = handle if isinstance(handle, Line2D) else handle.lines[0]
        points = np.column_stack([line.get_xdata(), line.get_ydata()]).astype(float)
        seen = points[(points[:, 1] >= low) & (points[:, 1] <= high)]
        if len(seen):
            where, level = place.transform(seen[-1])
            named.append((level, where, name, line.get_color()))
    if not named:
        return
    named.sort(key=lambda row: row[0])
    gaps = np.arange(len(named)) * 1.2 * size / (72 * height)
    # The nearest levels in this order with these gaps: those of a regression without the gaps.
    levels = isotonic_regression([row[0] for row in named] - gaps).x + gaps
    for level, (_, where, name, colour) in zip(levels, named, strict=True):
        axes.annotate(
            name,
            (where, level),
            (7, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            va="center",
            color=colour,
            fontsize=size,
            annotation_clip=False,
        )


def look(settings: Mapping[Any, Any]) -> dict[str, Any]:
    """Options of ``Axes.plot`` for a model: its own colour and marker, whatever is beside it.

    A model of the KAN's size has a dotted line. One with other options, or trained at the authors'
    rate, has a dashed line and white markers.

    Args:
        settings: parameters of ``kanlib.experiments.Run``, or a row that has them as columns.

    Raises:
        ValueError: a parameter is out of range or has no meaning for the model.
    """
    run = configuration(settings)
    spec = MODELS[run.model]
    # How long and how fast all models of an experiment are trained is in its caption.
    apart = TrainingConfig.model_fields.keys() - OF_GRIDS | {"match_parameters"}
    varied = run.preset == "authors" or not run.changes().keys() <= apart
    return {
        "color": spec.colour,
        "marker": spec.marker,
        "markerfacecolor": "white" if varied else spec.colour,
        "linestyle": "--" if varied else ":" if run.match_parameters else "-",
        "markersize": 5,
        "linewidth": 1.5,
    }


def by_label(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of each label, as figures write it, in order of appearance."""
    return {on_lines(str(label)): rows for label, rows in table.groupby("label", sort=False)}


def plain_log_axis(axis: Axis) -> None:
    """0.02 0.05 0.1 .. 1k 2k on a logarithmic axis, closer where it is short; no powers of ten."""
    low, high = axis.get_view_interval()
    subs = (1,) if high > 500 * low else (1, 2, 5) if high > 8 * low else (1, 1.5, 2, 3, 4, 5, 6, 8)
    axis.set_major_locator(LogLocator(subs=subs) if high > 2 * low else MaxNLocator(5))
    large = EngFormatter(sep="")
    axis.set_major_formatter(FuncFormatter(lambda v, _: large(v) if v >= 1000 else f"{v:g}"))
    axis.set_minor_locator(NullLocator())


def plain_ticks(axes: Axes, sizes: Sequence[int]) -> None:
    """The bottlenecks themselves on a logarithmic axis, unless they would overlap."""
    axes.xaxis.set_minor_locator(NullLocator())
    if len(sizes) <= 8:
        axes.set_xticks(list(sizes), [str(size) for size in sizes])
    else:
        plain_log_axis(axes.xaxis)
