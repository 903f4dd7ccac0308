"""Figures of images, edge functions and confusions. Nothing is computed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from kanlib.report.figures.style import NO_GRID, STYLE, grid

Array = NDArray[Any]


def reconstructions(originals: Array, rows: Mapping[str, Array], *, title: str = "") -> Figure:
    """Images and what the models make of them, one row a model.

    Windows of series, of height 1, are drawn as lines, with the original in grey behind.

    Args:
        originals: (N, C, H, W) in [-1, 1], C = 1 or 3, or any C where H = 1.
        rows: name -> reconstructions of the same shape; pixels beyond [-1, 1] are clipped.
        title: above the images.

    Raises:
        ValueError: images of another shape.
    """
    for name, images in {"originals": originals, **rows}.items():
        drawable = images.ndim == 4 and (images.shape[1] in (1, 3) or images.shape[2] == 1)
        if images.shape != originals.shape or not drawable:
            raise ValueError(
                f"{name}: images of shape {images.shape} must be (N, C, H, W), C = 1 or 3, as the "
                f"originals, {originals.shape}"
            )
    named = {"original": originals} | dict(rows)
    windows = originals.shape[2] == 1
    with mpl.rc_context(STYLE | NO_GRID):
        width = 2.4 if windows else 0.62
        size = (width * len(originals) + 2.4, 0.62 * len(named) + 0.5)
        figure, panels = grid(len(named), len(originals), size, share=windows)
        for line, (name, images) in zip(panels, named.items(), strict=True):
            for axes, image, original in zip(line, images, originals, strict=True):
                if windows:
                    axes.plot(original[:, 0].T, color="0.75", linewidth=2)  # (T, C)
                    axes.plot(image[:, 0].T, color="C0", linewidth=1)
                else:
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

    Raises:
        ValueError: no edges, or numbers of points, edges and names that differ.
    """
    if len(names) == 0 or values.shape != (len(names), len(points)):
        raise ValueError(
            f"values of shape {values.shape} must be ({len(names)}, {len(points)}), a row for each "
            "of at least one name, a column for each of the points"
        )
    columns = min(6, len(values))
    lines = -(-len(values) // columns)
    with mpl.rc_context(STYLE):
        size = (1.5 * columns + 0.6, 1.35 * lines + 0.5)
        figure, panels = grid(lines, columns, size, share=True)
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

    Raises:
        ValueError: a matrix has another size than the classes.
    """
    import seaborn as sns  # takes 0.3 s, which a training run need not wait for

    for name, counts in matrices.items():
        if np.shape(counts) != (len(classes), len(classes)):
            raise ValueError(
                f"{name}: matrix of shape {np.shape(counts)} must have a row and a column for each "
                f"of the {len(classes)} classes"
            )
    with mpl.rc_context(STYLE | NO_GRID):
        figure, panels = grid(1, len(matrices), (4.2 * len(matrices), 4.2))
        for axes, (name, counts) in zip(panels[0], matrices.items(), strict=True):
            shares = 100 * np.asarray(counts) / np.sum(counts, axis=1, keepdims=True)
            drawn: dict[str, Any] = {"cmap": "Blues", "vmin": 0, "vmax": 100, "cbar": False}
            drawn |= {"annot": True, "fmt": ".0f", "annot_kws": {"size": 7}, "square": True}
            sns.heatmap(shares, ax=axes, xticklabels=classes, yticklabels=classes, **drawn)
            axes.set(title=name, xlabel="predicted class")
            axes.tick_params(length=0, labelsize=8)
        panels[0, 0].set_ylabel("true class")
        figure.suptitle(title)
    return figure
