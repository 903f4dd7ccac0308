"""The figure of the results: DataFrame in, Figure out; None where nothing of it was measured."""

from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.rows import Table
from kanlib.report.figures import STYLE

# What a user compares, from the slowest on: competitor of the rows -> its name on the bar.
_BARS = {
    "pykan": "pykan",
    "recursion": "recursion, as in efficient-kan",
    "shared functions": "functions shared by the edges of an input",
    "KANLinear, scale kept": "this layer, with the paper's scale",
    "KANLinear": "this layer",
    "dense limit": "its matrix product alone",
    "MLP": "dense layer of the same shape",
}


def times(rows: Table) -> Figure | None:
    """Milliseconds of one layer, 784 to 34 numbers, a bar a competitor; no settings."""
    rows = rows[
        (rows["what"] == "first layer")
        & (rows["shape"] == "784-34")
        & (rows["batch"] == 64)
        & (rows["settings"] == "plain")
    ]
    if rows.empty:
        return None
    bars = rows.drop_duplicates("competitor").set_index("competitor")["median"]
    bars = bars.reindex(list(_BARS)).dropna()
    title = "A KAN layer from 784 to 34 numbers, for 64 images"
    if {"KANLinear", "recursion"} <= set(bars.index):
        title += f": {bars['recursion'] / bars['KANLinear']:.2g} times as fast as the recursion"
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7, 0.42 * len(bars) + 0.9), layout="constrained")
        axes: Any = figure.subplots()
        ours = bars.index.str.startswith("KANLinear")
        drawn = axes.barh(
            [_BARS[name] for name in bars.index],
            bars,
            color=["#0072B2" if mine else "0.65" for mine in ours],
        )
        axes.bar_label(drawn, labels=[f"{ms:.3g} ms" for ms in bars], padding=3)
        axes.invert_yaxis()
        axes.set(xlabel="forward and backward, ms")
        figure.suptitle(title, fontsize=10)
        axes.set_xlim(right=1.15 * bars.max())
        axes.grid(visible=False)
    return figure
