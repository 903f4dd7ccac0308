"""What learned functions on edges, and codes, are worth to someone who looks at them.

``prune`` and ``formulas`` take any model with KAN layers, or a layer. ``analysis_of`` measures the
model of a run, ``analyses_of`` those of many. The other names below are its parts, for any trained
model. Analyses side by side are in ``tables``, compared in ``comparisons``
and drawn in ``figures``, which load pandas and matplotlib.
"""

import kanlib.extras  # noqa: F401
from kanlib.interpretability.analysis import Analysis, load_analysis, save_analysis
from kanlib.interpretability.codes import cka, class_information, linear_probe
from kanlib.interpretability.edges import (
    ablate,
    edge_scores,
    edge_spread,
    entropy,
    gini,
    prune,
    remove_edges,
    strongest,
)
from kanlib.interpretability.formulas import Formula, Simplicity, fit_formulas, formulas, simplicity
from kanlib.interpretability.moments import Moments, moments
from kanlib.interpretability.study import analyse, analyses_of, analysis_of

__all__ = [
    "Analysis",
    "Formula",
    "Moments",
    "Simplicity",
    "ablate",
    "analyse",
    "analyses_of",
    "analysis_of",
    "cka",
    "class_information",
    "edge_scores",
    "edge_spread",
    "entropy",
    "fit_formulas",
    "formulas",
    "gini",
    "linear_probe",
    "load_analysis",
    "moments",
    "prune",
    "remove_edges",
    "save_analysis",
    "simplicity",
    "strongest",
]
