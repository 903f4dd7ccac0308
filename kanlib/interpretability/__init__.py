"""What learned functions on edges, and codes, are worth to someone who looks at them.

``analysis_of`` measures the model of a run, ``analyses_of`` those of many. The names below are its
parts, for any trained model. Analyses side by side are in ``tables``, compared in ``comparisons``
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
    strongest,
)
from kanlib.interpretability.formulas import Formulas, edge_formulas, fit_formulas
from kanlib.interpretability.moments import Moments, moments
from kanlib.interpretability.study import analyse, analyses_of, analysis_of

__all__ = [
    "Analysis",
    "Formulas",
    "Moments",
    "ablate",
    "analyse",
    "analyses_of",
    "analysis_of",
    "cka",
    "class_information",
    "edge_formulas",
    "edge_scores",
    "edge_spread",
    "entropy",
    "fit_formulas",
    "gini",
    "linear_probe",
    "load_analysis",
    "moments",
    "prune",
    "save_analysis",
    "strongest",
]
