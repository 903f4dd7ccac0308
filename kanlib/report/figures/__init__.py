"""Figures: DataFrames or arrays in, a matplotlib Figure out; nothing is computed here."""

from kanlib.report.figures.curves import (
    against_bottleneck,
    differences,
    losses,
    measures,
    training_curves,
)
from kanlib.report.figures.images import confusion_matrices, edge_functions, reconstructions
from kanlib.report.figures.studies import effects, fronts, heatmaps, spread, steps
from kanlib.report.figures.style import STYLE, look, save

__all__ = [
    "STYLE",
    "against_bottleneck",
    "confusion_matrices",
    "differences",
    "edge_functions",
    "effects",
    "fronts",
    "heatmaps",
    "look",
    "losses",
    "measures",
    "reconstructions",
    "save",
    "spread",
    "steps",
    "training_curves",
]
