"""What a figure shows, in words for its title; computed, so that they hold for any experiment."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kanlib.models.registry import MODELS

CLOSE = 0.05  # a curve that is nowhere further from the published one reproduces it
STEADY = 0.05  # a smaller rise from one epoch to the next is not worth a word
STRAIGHT = 0.9  # of its variance, explained by a line: such a curve is nearly straight
PCA = MODELS["pca"].label


def of_errors(errors: pd.DataFrame, published: pd.Series | None = None) -> str:
    """Who is better than PCA, or who reproduces the published curve.

    Args:
        errors: test errors, one row a label, one column a code size, as
            ``kanlib.report.tables.by_bottleneck`` returns; NaN where there was no run.
        published: the paper's errors by code size, if any.

    Returns:
        The message; "" where there is neither PCA nor a curve that reproduces.
    """
    rivals = errors.drop(index=PCA, errors="ignore")
    same = "" if published is None else _reproduced(rivals, published)
    if PCA not in errors.index:
        return same
    lower: Any = rivals.lt(errors.loc[PCA])
    always: Any = rivals.index[lower.eq(rivals.notna()).all(axis=1)]
    if not lower.any(axis=None):
        return f"{same}; PCA lies below" if same else "PCA has the lowest test error everywhere"
    if same:
        return same
    if len(always):
        return f"Better than PCA at every code size: {'; '.join(always)}"
    return "No model is better than PCA at every code size"


def _reproduced(rivals: pd.DataFrame, published: pd.Series) -> str:
    """The label whose curve is the published one, and how near it is; "" if there is none."""
    sizes = rivals.columns.intersection(published.index)
    away: Any = (rivals[sizes] / published[sizes] - 1).abs().max(axis=1).dropna()
    if len(sizes) < 2 or away.empty or away.min() > CLOSE:
        return ""
    return f"{away.idxmin()} lies within {away.min():.0%} of the published curve"


def of_reconstructions(errors: pd.Series, bottleneck: int) -> str:
    """Whose images come closest.

    Args:
        errors: label -> test error.
        bottleneck: code size of all.
    """
    return f"Closest to the originals, from a code of {bottleneck} numbers: {errors.idxmin()}"


def of_training(history: pd.DataFrame) -> str:
    """How far a test error rose on the way.

    Args:
        history: as ``kanlib.experiments.histories`` returns, with a column label.
    """
    runs: Any = history.groupby(["label", "bottleneck", "seed"], sort=False)["test_loss"]
    rises: Any = runs.pct_change().groupby(history["label"], sort=False).max().dropna()
    if rises.empty or rises.max() < STEADY:
        return f"No test error rises by {STEADY:.0%} in one epoch"
    return f"{rises.idxmax()} jumps: in one epoch its test error rises by {rises.max():.0%}"


def of_edges(points: NDArray[Any], values: NDArray[Any]) -> str:
    """How many learned functions are nearly lines.

    Args:
        points: (P,) inputs.
        values: (E, P) outputs of E edges.
    """
    x, y = points.astype(float), values.astype(float)
    line = np.polynomial.polynomial.polyfit(x, y.T, 1)  # (2, E)
    rest = y - (line[0][:, None] + line[1][:, None] * x)
    explained = 1 - rest.var(axis=1) / np.maximum(y.var(axis=1), 1e-300)
    straight = int((explained >= STRAIGHT).sum())
    return f"{straight} of these {len(y)} learned functions are nearly straight"


def of_confusion(ours: NDArray[Any], theirs: NDArray[Any]) -> str:
    """How far two confusion matrices are apart.

    Args:
        ours: counts, row = true class, column = predicted class.
        theirs: likewise.
    """
    shares = [100 * counts / counts.sum(axis=1, keepdims=True) for counts in (ours, theirs)]
    largest = float(np.abs(shares[0] - shares[1]).max())
    return f"No entry differs from the published one by more than {largest:.1f} points"
