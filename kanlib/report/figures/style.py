"""One style for all figures, and how they are saved."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from kanlib.files import atomic_file

STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.dpi": 72,
    "font.size": 10,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "pdf.fonttype": 42,
}
NO_GRID: dict[Any, Any] = {"axes.grid": False}  # put over STYLE where images are drawn
# A model keeps its colour and marker in every figure, whichever others are drawn beside it.
_FAMILIES = {
    "KAN layers alone": ("C1", "s"),
    "KAN": ("C0", "o"),
    "CNN": ("C2", "^"),
    "MLP": ("C3", "D"),
    "Spline MLP": ("C4", "v"),
    "PCA": ("black", "x"),
}


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
    return figure, figure.subplots(lines, columns, squeeze=False, sharex=share, sharey=share)


def look(label: str) -> dict[str, Any]:
    """Options of ``Axes.plot`` for a model, from the family its label starts with."""
    family = next((name for name in _FAMILIES if label.startswith(name)), "")
    colour, marker = _FAMILIES.get(family, ("C5", "."))
    varied = "paper's text" in label or "=" in label
    return {
        "color": colour,
        "marker": marker,
        "markerfacecolor": "white" if varied else colour,
        "linestyle": "--" if varied else ":" if "matched" in label else "-",
        "markersize": 5,
        "linewidth": 1.5,
    }


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
