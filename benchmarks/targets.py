"""The targets that the project set itself, and whether one run meets them."""

import numpy as np
import pandas as pd

from benchmarks.rows import Table, is_growth

LAYER = ("first layer", "inner layer")
LIMIT, FASTER_LIMIT = "dense limit", "dense limit, the faster"
CASE = ["what", "shape", "batch", "grid_size", "spline_order"]


def targets(rows: Table) -> Table:
    """One line a target; NaN is what was not measured.

    Args:
        rows: results of one device, from ``rows.load``.

    Returns:
        Columns target, wanted, verdict and four numbers. ``value`` decides: it is that of the
        default layer, whose scale is folded in. ``scale kept`` is that of a layer with the paper's
        parameters. ``limit`` is that of a layer of the same product, or a model of such layers,
        whose basis costs nothing: with or without the settings, whichever is faster, shape by
        shape. ``settings on for both`` is the value against a recursion that has the settings.
    """
    at_64 = rows[(rows["batch"] == 64) & ~is_growth(rows)]
    at_64 = _with_faster_limit(at_64)
    layers = at_64[at_64["what"].isin(LAYER)]
    wide = layers[layers["shape"].str.split("-").str[-1].astype(int) >= 150]
    memory = at_64[at_64["what"] == "memory of step"]
    layer, limit = "layer against plain recursion", "layer with settings against the faster dense"
    peak = "peak memory of a step"
    lines = [
        _faster(f"{layer}, geometric mean", 2.5, layers, "recursion", fast=False),
        _faster(f"{layer}, with settings, geometric mean", 5.0, layers, "recursion"),
        _faster(f"{layer}, with settings, worst shape", 3.0, layers, "recursion", worst=True),
        _at_most(f"{limit} limit, out >= 150, worst", 1.3, wide, FASTER_LIMIT),
    ]
    for what, shape, goal in (
        ("step", "784-34", 4.0),
        ("step", "784-150", 3.0),
        ("step", "3072-500", 6.0),
        ("epoch", "784-34", 5.0),
        ("epoch", "784-150", 3.5),
    ):
        here = at_64[(at_64["what"] == what) & (at_64["shape"] == shape)]
        name = f"{what} {shape} with settings against the authors' way"
        lines.append(_faster(name, goal, here, "authors"))
    outside = rows[(rows["what"] == "batch run") & (rows["competitor"] == "outside training")]
    lines += [
        _at_most(f"{peak}, plain, of the authors', worst", 1.0, memory, "authors", fast=False),
        _at_most(f"{peak}, with settings, of the authors', worst", 1.0, memory, "authors"),
        {
            "target": "batch run on digits, seconds outside training and evaluation",
            "wanted": "<= 5",
            "value": (seconds := outside["median"].max()),
            "verdict": _verdict(seconds, seconds <= 5),
        },
    ]
    return pd.DataFrame(lines)


def _faster(
    target: str, goal: float, rows: Table, rival: str, *, fast: bool = True, worst: bool = False
) -> dict[str, object]:
    """How many times as fast as ``rival``: geometric mean of the cases, or the worst of them."""

    def score(rival: str, label: str) -> float:
        speedups = ratios(rows, rival, label)
        return speedups.min() if worst else geometric_mean(speedups)

    settings = " + settings" if fast else ""
    value = score(rival, f"KANLinear{settings}")
    return {
        "target": target,
        "wanted": f">= {goal:g}",
        "value": value,
        "verdict": _verdict(value, value >= goal),
        "scale kept": score(rival, f"KANLinear, scale kept{settings}"),
        "limit": score(rival, FASTER_LIMIT if fast else LIMIT),
        "settings on for both": score("recursion + settings", "KANLinear + settings")
        if fast
        else np.nan,
    }


def _at_most(
    target: str, goal: float, rows: Table, rival: str, *, fast: bool = True
) -> dict[str, object]:
    """The largest share of what ``rival`` needs."""
    settings = " + settings" if fast else ""
    value = ratios(rows, f"KANLinear{settings}", rival).max()
    return {
        "target": target,
        "wanted": f"<= {goal:g}",
        "value": value,
        "verdict": _verdict(value, value <= goal),
        "scale kept": ratios(rows, f"KANLinear, scale kept{settings}", rival).max(),
        "limit": ratios(rows, FASTER_LIMIT, rival).max(),
    }


def _with_faster_limit(rows: Table) -> Table:
    """``rows`` and, for every case, the dense limit that was faster there."""
    limits = rows[rows["label"].isin([LIMIT, f"{LIMIT} + settings"])].sort_values("median")
    return pd.concat([rows, limits.drop_duplicates(CASE).assign(label=FASTER_LIMIT)])


def ratios(rows: Table, above: str, below: str) -> Table:
    """Median of ``above`` over median of ``below``, for every case that has both."""
    wide = rows.pivot_table(index=CASE, columns="label", values="median", sort=False)
    if above not in wide or below not in wide:
        return pd.Series(dtype=float)
    return (wide[above] / wide[below]).dropna()


def geometric_mean(values: Table) -> float:
    """Geometric mean; NaN of nothing."""
    return float(np.exp(np.log(values).mean()))


def _verdict(value: float, met: bool) -> str:
    return "not measured" if np.isnan(value) else "met" if met else "missed"
