"""Figures: DataFrames or arrays in, a matplotlib Figure out; one style; nothing is computed here.

Needs matplotlib and seaborn. The notebooks show and save what these functions return.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator, ScalarFormatter
from numpy.typing import NDArray

from kanlib.results import atomic_file

Array = NDArray[Any]
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
_NO_GRID: dict[Any, Any] = {"axes.grid": False}
# A model keeps its colour and marker in every figure, whichever others are drawn beside it.
_FAMILIES = {"KAN layers alone": "C1", "KAN": "C0", "CNN": "C2", "MLP": "C3", "PCA": "black"}
_MARKERS = {"KAN layers alone": "s", "KAN": "o", "CNN": "^", "MLP": "D", "PCA": "x"}


def against_bottleneck(
    table: pd.DataFrame,
    metric: str,
    ylabel: str,
    *,
    title: str = "",
    published: pd.DataFrame | None = None,
    log: bool = False,
) -> Figure:
    """One line a model: a metric against the size of the code.

    Args:
        table: columns label, bottleneck, ``metric``, and ``metric``_sd (bars where not NaN).
        metric: column to draw.
        ylabel: what it is, with its unit or range.
        title: above the axes.
        published: columns bottleneck, test_mse: the paper's curve, drawn behind.
        log: logarithmic vertical axis.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = _grid(1, 1, (7, 4.5))
        if published is not None and len(published):
            axes.plot(
                published["bottleneck"], published["test_mse"], color="0.6", lw=4, alpha=0.6,
                label="AE-KAN, published",
            )  # fmt: skip
        for label, rows in table.groupby("label", sort=False):
            axes.errorbar(
                rows["bottleneck"],
                rows[metric],
                yerr=rows[f"{metric}_sd"].fillna(0),
                label=label,
                **_look(str(label)),
            )
        axes.set(xscale="log", yscale="log" if log else "linear")
        if log:
            _plain_log_axis(axes)
        axes.set(xlabel="bottleneck (numbers in the code)", ylabel=ylabel, title=title)
        _plain_ticks(axes, sorted(table["bottleneck"].unique()))
        axes.legend(fontsize=8)
    return figure


def training_curves(history: pd.DataFrame, *, title: str = "") -> Figure:
    """Test error after each epoch, one panel a bottleneck, one line a run.

    Args:
        history: columns label, bottleneck, seed, epoch (from 1), test_loss.
        title: above the panels.
    """
    sizes = sorted(history["bottleneck"].unique())
    with mpl.rc_context(STYLE):
        figure, panels = _grid(1, len(sizes), (3.2 * len(sizes) + 1.5, 3.4))
        for axes, size in zip(panels[0], sizes, strict=True):
            here = history[history["bottleneck"] == size]
            for _, rows in here.groupby(["label", "seed"], sort=False):
                label = str(next(iter(rows["label"])))
                look = _look(label) | {"markersize": 3}
                axes.plot(rows["epoch"], rows["test_loss"], label=label, **look)
            axes.set(title=f"bottleneck {size}", xlabel="epoch", yscale="log")
            _plain_log_axis(axes)
        panels[0, 0].set_ylabel("test MSE")
        handles = dict(
            pair[::-1]
            for axes in panels[0]
            for pair in zip(*axes.get_legend_handles_labels(), strict=True)
        )
        figure.legend(handles.values(), handles.keys(), loc="outside right center", fontsize=8)
        figure.suptitle(title)
    return figure


def losses(train: Sequence[float], test: Sequence[float], *, title: str = "") -> Figure:
    """Training and test error of one run after each epoch.

    Args:
        train: mean squared error of each epoch.
        test: likewise.
        title: above the axes.
    """
    with mpl.rc_context(STYLE):
        figure, [[axes]] = _grid(1, 1, (4.5, 3))
        for name, values, style in (("training", train, "--"), ("test", test, "-")):
            axes.plot(range(1, len(values) + 1), values, style, color="C0", marker=".", label=name)
        axes.set(xlabel="epoch", ylabel="mean squared error", title=title)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
    return figure


def reconstructions(originals: Array, rows: Mapping[str, Array], *, title: str = "") -> Figure:
    """Images and what the models make of them, one row a model.

    Args:
        originals: (N, C, H, W) in [-1, 1], C = 1 or 3.
        rows: name -> reconstructions of the same shape; values beyond [-1, 1] are clipped.
        title: above the images.
    """
    named = {"original": originals} | dict(rows)
    with mpl.rc_context(STYLE | _NO_GRID):
        size = (0.62 * len(originals) + 2.4, 0.62 * len(named) + 0.5)
        figure, panels = _grid(len(named), len(originals), size)
        for line, (name, images) in zip(panels, named.items(), strict=True):
            for axes, image in zip(line, images, strict=True):
                pixels = np.clip(image.astype(float) / 2 + 0.5, 0, 1).transpose(1, 2, 0)
                axes.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=1)
                axes.set(xticks=[], yticks=[])
                for spine in axes.spines.values():
                    spine.set_visible(False)
            line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        figure.suptitle(title, fontsize=10)
    return figure


def edge_functions(
    points: Array, values: Array, names: Sequence[str], *, title: str = ""
) -> Figure:
    """Learned functions on edges, one panel each, on one scale.

    Args:
        points: (P,) inputs.
        values: (E, P) outputs of E edges.
        names: E panel titles.
        title: above the panels.
    """
    columns = min(6, len(values))
    lines = -(-len(values) // columns)
    with mpl.rc_context(STYLE):
        size = (1.5 * columns + 0.6, 1.35 * lines + 0.5)
        figure, panels = _grid(lines, columns, size, share=True)
        for axes in panels.flat[len(values) :]:
            axes.set_axis_off()
        for axes, line, name in zip(panels.flat, values, names, strict=False):
            axes.plot(points, line, color="C0")
            axes.set_title(name, fontsize=8)
            axes.tick_params(labelsize=7)
        figure.supxlabel("input", fontsize=9)
        figure.supylabel("edge function", fontsize=9)
        figure.suptitle(title, fontsize=10)
    return figure


def confusion_matrices(
    matrices: Mapping[str, Array], classes: Sequence[str], *, title: str = ""
) -> Figure:
    """Confusion matrices side by side, as percentages of each true class.

    Args:
        matrices: panel title -> counts, row = true class, column = predicted class.
        classes: names of the classes.
        title: above the panels.
    """
    with mpl.rc_context(STYLE | _NO_GRID):
        figure, panels = _grid(1, len(matrices), (4.2 * len(matrices), 4.2))
        for axes, (name, counts) in zip(panels[0], matrices.items(), strict=True):
            shares = 100 * np.asarray(counts) / np.sum(counts, axis=1, keepdims=True)
            sns.heatmap(
                shares, ax=axes, annot=True, fmt=".0f", cmap="Blues", vmin=0, vmax=100, cbar=False,
                square=True, xticklabels=classes, yticklabels=classes, annot_kws={"size": 7},
            )  # fmt: skip
            axes.set(title=name, xlabel="predicted class")
            axes.tick_params(length=0, labelsize=8)
        panels[0, 0].set_ylabel("true class")
        figure.suptitle(title)
    return figure


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


def _grid(
    lines: int, columns: int, size: tuple[float, float], *, share: bool = False
) -> tuple[Figure, Any]:
    """A figure of its own, outside pyplot's list of open ones, and its axes (lines, columns)."""
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(lines, columns, squeeze=False, sharex=share, sharey=share)


def _look(label: str) -> dict[str, Any]:
    """Colour, marker and line of a model, from the family its label starts with."""
    family = next((name for name in _FAMILIES if label.startswith(name)), "")
    return {
        "color": _FAMILIES.get(family, "C4"),
        "marker": _MARKERS.get(family, "."),
        "linestyle": "--" if "paper's text" in label else "-",
        "markersize": 5,
        "linewidth": 1.5,
    }


def _plain_log_axis(axes: Axes) -> None:
    """0.02 0.05 0.1 0.2 .. on a logarithmic vertical axis, instead of powers of ten."""
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _plain_ticks(axes: Axes, sizes: Sequence[int]) -> None:
    """The bottlenecks themselves on a logarithmic axis, unless they would overlap."""
    axes.xaxis.set_minor_locator(NullLocator())
    if len(sizes) <= 8:
        axes.set_xticks(list(sizes), [str(size) for size in sizes])
    else:
        axes.xaxis.set_major_formatter(ScalarFormatter())
