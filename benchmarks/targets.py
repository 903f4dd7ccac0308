"""The targets that the project set itself, and whether one run meets them."""

import numpy as np
import pandas as pd

from benchmarks.rows import Table

KAN, FAST = "KANLinear", "KANLinear + settings"
KEPT, FAST_KEPT = "KANLinear, scale kept", "KANLinear, scale kept + settings"
FAST_RECURSION = "recursion + settings"
LIMIT, FAST_LIMIT, FASTER_LIMIT = "dense limit", "dense limit + settings", "dense limit, the faster"
LAYER = ("first layer", "inner layer")


def targets(rows: Table) -> Table:
    """Columns target, wanted, value, verdict, scale_kept, limit, both_on; NaN: not measured.

    The value, which decides, is that of the default layer, its scale folded in; ``scale_kept`` that
    of a layer with the paper's parameters. The limit is what a layer of the same product, or a
    model of such layers, would score whose basis costs nothing: with or without the settings,
    whichever is faster, shape by shape. ``both_on`` is the value against a recursion that has the
    settings, too.

    Args:
        rows: results of one device, with the column ``label``.
    """
    at_64 = rows[(rows["batch"] == 64) & ~rows["source"].str.startswith("growth")]
    at_64 = _with_faster_limit(at_64)
    layers = at_64[at_64["what"].isin(LAYER)]
    wide = layers[layers["shape"].str.split("-").str[-1].astype(int) >= 150]
    memory = at_64[at_64["what"] == "memory of step"]
    lines = [
        (f"layer against plain recursion, {name}", ">=", goal,
         *(which(ratios(layers, "recursion", label)) for label in labels),
         which(ratios(layers, FAST_RECURSION, FAST)) if FAST in labels else np.nan)
        for name, goal, which, labels in (
            ("geometric mean", 2.5, geometric_mean, (KAN, KEPT, LIMIT)),
            ("with settings, geometric mean", 5.0, geometric_mean, (FAST, FAST_KEPT, FASTER_LIMIT)),
            ("with settings, worst shape", 3.0, _smallest, (FAST, FAST_KEPT, FASTER_LIMIT)),
        )
    ]  # fmt: skip
    name = "layer with settings against the faster dense limit, out >= 150, worst"
    lines.append((name, "<=", 1.3,
                  *(_largest(ratios(wide, label, FASTER_LIMIT)) for label in (FAST, FAST_KEPT)),
                  1.0, np.nan))  # fmt: skip
    for what, shape, least in (
        ("step", "784-34", 4.0),
        ("step", "784-150", 3.0),
        ("step", "3072-500", 6.0),
        ("epoch", "784-34", 5.0),
        ("epoch", "784-150", 3.5),
    ):
        here = at_64[(at_64["what"] == what) & (at_64["shape"] == shape)]
        values = (geometric_mean(ratios(here, "authors", label))
                  for label in (FAST, FAST_KEPT, FASTER_LIMIT))  # fmt: skip
        name = f"{what} {shape} with settings against the authors' way"
        both_on = geometric_mean(ratios(here, FAST_RECURSION, FAST))
        lines.append((name, ">=", least, *values, both_on))
    for name, labels in (("plain", (KAN, KEPT)), ("with settings", (FAST, FAST_KEPT))):
        values = (_largest(ratios(memory, label, "authors")) for label in labels)
        name = f"peak memory of a step, {name}, of the authors', worst"
        lines.append((name, "<=", 1.0, *values, np.nan, np.nan))
    outside = rows[(rows["what"] == "batch run") & (rows["competitor"] == "outside training")]
    lines.append(("batch run on digits, seconds outside training and evaluation", "<=", 5.0,
                  _largest(outside["median"]), *[np.nan] * 3))  # fmt: skip
    return pd.DataFrame(
        [
            {"target": name, "wanted": f"{sign} {goal:g}", "value": value,
             "verdict": _verdict(value, sign, goal), "scale_kept": kept, "limit": limit,
             "both_on": both_on}
            for name, sign, goal, value, kept, limit, both_on in lines
        ]
    )  # fmt: skip


def _with_faster_limit(rows: Table) -> Table:
    """``rows`` and, for every case, the dense limit that was faster there."""
    limits = rows[rows["label"].isin([LIMIT, FAST_LIMIT])].sort_values("median")
    best = limits.drop_duplicates(["what", "shape", "batch", "grid_size", "spline_order"])
    return pd.concat([rows, best.assign(label=FASTER_LIMIT)])


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


def _smallest(values: Table) -> float:
    return float(values.min()) if len(values) else float("nan")


def _largest(values: Table) -> float:
    return float(values.max()) if len(values) else float("nan")


def _verdict(value: float, sign: str, goal: float) -> str:
    if np.isnan(value):
        return "not measured"
    return "met" if (value >= goal if sign == ">=" else value <= goal) else "missed"
