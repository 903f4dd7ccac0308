"""The targets that the project set itself, and whether one run meets them."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from benchmarks.rows import Table

KAN, FAST = "KANLinear", "KANLinear + settings"
KEPT = "KANLinear, scale kept"
LIMIT = "dense limit + settings"
LAYER = ("first layer", "inner layer")


def targets(rows: Table) -> Table:
    """Columns target, wanted, value, verdict; value is NaN where something was not measured.

    Args:
        rows: results of one device, with the column ``label``.
    """
    at_64 = rows[(rows["batch"] == 64) & ~rows["source"].str.startswith("growth")]
    layers = at_64[at_64["what"].isin(LAYER)]
    wide = layers[layers["shape"].str.split("-").str[-1].astype(int) >= 150]
    memory = at_64[at_64["what"] == "memory of step"]
    lines = [
        ("layer against recursion, plain, geometric mean", ">=", 2.5,
         geometric_mean(ratios(layers, "recursion", KAN))),
        ("layer against recursion, settings on, geometric mean", ">=", 5.0,
         geometric_mean(ratios(layers, "recursion", FAST))),
        ("layer against recursion, settings on, worst shape", ">=", 3.0,
         _worst(ratios(layers, "recursion", FAST), min)),
        ("layer against the dense limit, out >= 150, worst shape", "<=", 1.3,
         _worst(ratios(wide, FAST, LIMIT), max)),
    ]  # fmt: skip
    for what, shape, least in (
        ("step", "784-34", 4.0),
        ("step", "784-150", 3.0),
        ("step", "3072-500", 6.0),
        ("epoch", "784-34", 5.0),
        ("epoch", "784-150", 3.5),
    ):
        here = at_64[(at_64["what"] == what) & (at_64["shape"] == shape)]
        value = geometric_mean(ratios(here, "authors", FAST))
        lines.append((f"{what} {shape} against the authors' way, settings on", ">=", least, value))
    for label in (KAN, FAST, KEPT, KEPT + " + settings"):
        value = _worst(ratios(memory, label, "authors"), max)
        lines.append((f"peak memory of a step, {label}, of the authors', worst", "<=", 1.0, value))
    return pd.DataFrame(
        [
            {"target": name, "wanted": f"{sign} {goal:g}", "value": value,
             "verdict": _verdict(value, sign, goal)}
            for name, sign, goal, value in lines
        ]
    )  # fmt: skip


def ratios(rows: Table, above: str, below: str) -> Table:
    """Median of ``above`` over median of ``below``, for every case that has both."""
    if rows.empty:
        return pd.Series(dtype=float)
    cases = ["what", "shape", "batch", "grid_size", "spline_order"]
    wide = rows.pivot_table(index=cases, columns="label", values="median", sort=False)
    if above not in wide or below not in wide:
        return pd.Series(dtype=float)
    return (wide[above] / wide[below]).dropna()


def geometric_mean(values: Table) -> float:
    """Geometric mean; NaN of nothing."""
    return float(np.exp(np.log(values).mean())) if len(values) else float("nan")


def _worst(values: Table, which: Callable[[Table], float]) -> float:
    return float(which(values)) if len(values) else float("nan")


def _verdict(value: float, sign: str, goal: float) -> str:
    if np.isnan(value):
        return "not measured"
    return "met" if (value >= goal if sign == ">=" else value <= goal) else "missed"
