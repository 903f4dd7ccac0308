"""Figures: DataFrames or arrays in, a matplotlib Figure out; nothing is computed here."""

from kanlib.report.figures.architectures import architectures
from kanlib.report.figures.curves import (
    against_bottleneck,
    differences,
    elbows,
    factors,
    losses,
    measures,
    slopes,
    training_curves,
)
from kanlib.report.figures.idea import idea
from kanlib.report.figures.images import (
    confusion_difference,
    edge_functions,
    input_names,
    reconstructions,
)
from kanlib.report.figures.studies import effects, fronts, heatmaps, league, spread, steps, tries
from kanlib.report.figures.style import STYLE, look, save

__all__ = [
    "STYLE",
    "against_bottleneck",
    "architectures",
    "confusion_difference",
    "differences",
    "edge_functions",
    "effects",
    "elbows",
    "factors",
    "fronts",
    "heatmaps",
    "idea",
    "input_names",
    "league",
    "look",
    "losses",
    "measures",
    "reconstructions",
    "save",
    "slopes",
    "spread",
    "steps",
    "training_curves",
    "tries",
]
