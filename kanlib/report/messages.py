"""What a figure shows, in words for its title; computed, so that they hold for any experiment."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from kanlib.experiments.frames import watched_loss
from kanlib.models.registry import MODELS
from kanlib.report.labels import words

CLOSE = 0.05  # a curve that is nowhere further from the published one reproduces it
STEADY = 0.05  # a smaller rise from one epoch to the next is not worth a word
STRAIGHT = 0.9  # of its variance, explained by a line: such a curve is nearly straight
PCA = MODELS["pca"].label


def of_errors(errors: pd.DataFrame, published: pd.Series | None = None) -> str:
    """Does the published curve reproduce, and who beats PCA?

    Args:
        errors: test errors, one row a label, one column a code size, as
            ``kanlib.report.tables.by_bottleneck`` returns; NaN where there was no run.
        published: the paper's errors by code size, if any.

    Returns:
        "Only pure KAN and the same-size MLP beat PCA"; "" where there is nothing to say.
    """
    rivals = errors.drop(index=PCA, errors="ignore")
    lower = rivals.lt(errors.loc[PCA]) if PCA in errors.index else None
    near = None if published is None else _nearest(rivals, published)
    if near is not None and near <= CLOSE:
        above = lower is not None and not lower.to_numpy().any()
        return f"The published curve reproduces within {near:.0%}" + above * ", and lies above PCA"
    return "" if lower is None else _beats_pca(lower, rivals.notna())


def _nearest(rivals: pd.DataFrame, published: pd.Series) -> float | None:
    """How far the nearest curve is from the published one, where both have several code sizes."""
    sizes = rivals.columns.intersection(published.index)
    away: Any = (rivals[sizes] / published[sizes] - 1).abs().max(axis=1)
    return float(away.min()) if len(sizes) > 1 else None


def _beats_pca(lower: pd.DataFrame, run: pd.DataFrame) -> str:
    """Which rows have less error than PCA wherever they were run."""
    always: Any = lower.eq(run).all(axis=1)
    winners = [_short(label) for label in lower.index[always]]
    if not lower.to_numpy().any():
        return "No model beats PCA"
    if not winners:
        return "No model beats PCA at every code size"
    names = " and ".join(", ".join(winners).rsplit(", ", 1))
    verb = "beats" if len(winners) == 1 else "beat"
    if lower[~always].to_numpy().any():
        return f"{names[0].upper()}{names[1:]} {verb} PCA at every code size"
    return f"Only {names} {verb} PCA"


def _short(label: str) -> str:
    """Without a comma: the same-size MLP."""
    name, comma, rest = label.partition(", same size")
    return f"the same-size {name}{rest}" if comma else label


def of_reconstructions(errors: pd.Series, bottleneck: int) -> str:
    """Whose images come closest.

    Args:
        errors: label -> test error.
        bottleneck: code size of all.
    """
    best = _short(str(errors.idxmin()))
    return f"Closest to the originals, from a code of {bottleneck} numbers: {best}"


def of_training(history: pd.DataFrame) -> str:
    """How far the error that is watched rose on the way.

    Args:
        history: as ``kanlib.experiments.histories`` returns, with a column label.
    """
    loss = watched_loss(history)
    runs: Any = history.groupby(["label", "bottleneck", "seed"], sort=False)[loss]
    rises: Any = runs.pct_change().groupby(history["label"], sort=False).max().dropna()
    if rises.empty or rises.max() < STEADY:
        return f"No {words(loss)} rises by {STEADY:.0%} in one epoch"
    return f"A jump: in one epoch the {words(loss)} of {rises.idxmax()} rises by {rises.max():.0%}"


def of_edges(points: NDArray[Any], values: NDArray[Any]) -> str:
    """How many learned functions are nearly lines.

    Args:
        points: (P,) inputs.
        values: (E, P) outputs of E edges.
    """
    x, y = points.astype(float), values.astype(float)
    line = np.polynomial.polynomial.polyfit(x, y.T, 1)  # (2, E)
    rest = y - (line[0][:, None] + line[1][:, None] * x)
    straight = int((rest.var(axis=1) <= (1 - STRAIGHT) * y.var(axis=1)).sum())
    return f"{straight} of these {len(y)} learned functions are nearly straight"


def of_confusion(ours: ArrayLike, theirs: ArrayLike) -> str:
    """How far two confusion matrices are apart.

    Args:
        ours: counts, row = true class, column = predicted class.
        theirs: likewise.
    """
    counts = [np.asarray(matrix) for matrix in (ours, theirs)]
    shares = [100 * matrix / matrix.sum(axis=1, keepdims=True).clip(1) for matrix in counts]
    largest = float(np.abs(shares[0] - shares[1]).max())
    return f"No entry differs from the published one by more than {largest:.1f} points"
