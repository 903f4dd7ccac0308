"""Figures of images, edge functions and confusions. Nothing is computed here."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray

from kanlib.report.figures.style import NO_GRID, STYLE, grid, headline, on_lines
from kanlib.report.labels import words

Array = NDArray[Any]
_COLUMNS = 24  # of images, at most: more would be too small to see
_NARROW = 28  # letters of a line beside an image


def reconstructions(
    originals: Array,
    rows: Mapping[str, Array],
    *,
    errors: Mapping[str, float] = {},
    title: str = "",
    caption: str = "",
) -> Figure:
    """Images and what the models make of them, one row a model.

    Windows of series, of height 1, are drawn as lines, with the original in grey behind. Of more
    than 24 images the first 24 are drawn, and the caption says so.

    Args:
        originals: (N, C, H, W) in [-1, 1], C = 1 or 3, or any C where H = 1.
        rows: name -> reconstructions of the same shape; pixels beyond [-1, 1] are clipped.
        errors: name -> test error, written at the end of its row; a row without one has none.
        title: above the images.
        caption: below them.

    Raises:
        ValueError: images of another shape.
    """
    _check_drawable(originals, rows)
    if len(originals) > _COLUMNS:
        caption = f"The first {_COLUMNS} of {len(originals)} images. {caption}".strip()
    named = {
        on_lines(n, _NARROW): each[:_COLUMNS] for n, each in {"original": originals, **rows}.items()
    }
    errors = {on_lines(name, _NARROW): error for name, error in errors.items()}
    originals = originals[:_COLUMNS]
    windows = originals.shape[2] == 1
    with mpl.rc_context(STYLE | NO_GRID):
        width = 2.4 if windows else 0.62
        size = (width * len(originals) + 2.4 + 0.8 * bool(errors), 0.62 * len(named) + 0.6)
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
            if name in errors:
                _write_beside(line[-1], f"{errors[name]:#.3g}")
        if errors:
            _write_beside(panels[0, -1], words("test_mse"))
        headline(figure, title)
        figure.supxlabel(caption, fontsize=8, color="0.3")
    return figure


def _check_drawable(originals: Array, rows: Mapping[str, Array]) -> None:
    for name, images in {"originals": originals, **rows}.items():
        drawable = images.ndim == 4 and (images.shape[1] in (1, 3) or images.shape[2] == 1)
        if images.shape != originals.shape or not drawable:
            raise ValueError(
                f"{name}: images of shape {images.shape} must be (N, C, H, W), C = 1 or 3, as the "
                f"originals, {originals.shape}"
            )


def _write_beside(axes: Axes, text: str) -> None:
    """To the right of a panel."""
    axes.text(1.12, 0.5, text, transform=axes.transAxes, va="center", fontsize=9)


def edge_functions(
    points: Array,
    values: Array,
    names: Sequence[str],
    *,
    before: Array | None = None,
    title: str = "",
) -> Figure:
    """Learned functions on edges, one panel each, on one scale.

    Behind, in grey, stand the functions before training; or the best straight lines, which what
    bends leaves.

    Args:
        points: (P,) inputs.
        values: (E, P) outputs of E edges.
        names: E panel titles.
        before: (E, P), the same before training. None: straight lines.
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
        size = (1.5 * columns + 0.6, 1.4 * lines + 0.7)
        figure, panels = grid(lines, columns, size, share=True)
        for axes in panels.flat[len(values) :]:
            axes.set_axis_off()
        if before is None:
            fits = [np.polynomial.Polynomial.fit(points, curve, 1) for curve in values]
            before = np.array([line(points) for line in fits])
        for axes, curve, old, name in zip(panels.flat, values, before, names, strict=False):
            axes.plot(points, curve, color="C0")
            axes.plot(points, old, color="0.6", lw=1, ls="--", zorder=1)
            axes.set_title(name, fontsize=8, loc="center")
            axes.tick_params(labelsize=8)
        figure.supxlabel("input of the edge", fontsize=9)
        figure.supylabel("its output", fontsize=9)
        headline(figure, title)
    return figure


def input_names(places: Sequence[int], shape: tuple[int, ...]) -> list[str]:
    """What readers call inputs of a first layer: "row 3, column 5", or "value 5" of a window.

    Args:
        places: of the inputs in a flattened image.
        shape: (C, H, W) of the images; where C > 1, the names say which channel.

    Raises:
        ValueError: a place lies outside the image.
    """
    channels, height, _ = shape
    names = []
    for place in places:
        if not 0 <= place < np.prod(shape):
            raise ValueError(f"places={place} must be between 0 and {np.prod(shape) - 1}")
        channel, row, column = np.unravel_index(place, shape)
        name = f"row {row}, column {column}" if height > 1 else f"value {column}"
        names.append(f"{name}, channel {channel}" if channels > 1 else name)
    return names


def confusion_difference(
    ours: ArrayLike, theirs: ArrayLike, classes: Sequence[str], *, title: str = ""
) -> Figure:
    """How much more often one classifier takes a class for another than a second one does.

    Args:
        ours: counts, row = true class, column = predicted class.
        theirs: likewise.
        classes: names of the classes.
        title: above the panel.

    Raises:
        ValueError: a matrix has another size than the classes.
    """
    import seaborn as sns  # takes 0.3 s, which a training run need not wait for

    for name, counts in {"ours": ours, "theirs": theirs}.items():
        if np.shape(counts) != (len(classes), len(classes)):
            raise ValueError(
                f"{name}: matrix of shape {np.shape(counts)} must have a row and a column for each "
                f"of the {len(classes)} classes"
            )
    points = _shares(ours) - _shares(theirs)
    # Half of all differences would read -0.0 or +0.0.
    texts = np.where(np.abs(points) < 0.05, "", np.char.mod("%+.1f", points))
    largest = max(1.0, float(np.abs(points).max()))
    with mpl.rc_context(STYLE | NO_GRID):
        side = max(4.8, 0.3 * len(classes))
        figure, [[axes]] = grid(1, 1, (side + 1.2, side))
        drawn: dict[str, Any] = {"cmap": "PuOr_r", "vmin": -largest, "vmax": largest}
        drawn |= {"annot": texts, "fmt": "", "annot_kws": {"size": 8}, "square": True}
        drawn |= {"linewidths": 0.5, "cbar_kws": {"label": "ours - published, percentage points"}}
        names = [on_lines(name, _NARROW) for name in classes]
        sns.heatmap(points, ax=axes, xticklabels=names, yticklabels=names, **drawn)
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.tick_params(length=0, labelsize=9, labelrotation=0)
        if max(map(len, names)) > 4:  # longer names would overlap
            axes.tick_params(axis="x", labelrotation=90)
        headline(figure, title)
    return figure


def _shares(counts: ArrayLike) -> Array:
    """Percent of each true class; 0 where it has no image."""
    matrix = np.asarray(counts)
    return 100 * matrix / matrix.sum(axis=1, keepdims=True).clip(1)
