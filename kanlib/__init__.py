"""KAN layers and autoencoders: the whole public API of ``import kanlib``, which loads torch alone.

Data, training, evaluation, records and figures are modules of their own (``kanlib.data``, ...).
"""

from importlib.metadata import version

from kanlib.autoencoders import Autoencoder, count_parameters
from kanlib.baselines import MODELS, PCA, build_model
from kanlib.bases import Basis, BSpline, Chebyshev, GaussianRBF
from kanlib.efficient_kan import from_efficient_kan
from kanlib.grids import coverage, refine
from kanlib.layers import KANLinear

__all__ = [
    "MODELS",
    "PCA",
    "Autoencoder",
    "BSpline",
    "Basis",
    "Chebyshev",
    "GaussianRBF",
    "KANLinear",
    "build_model",
    "count_parameters",
    "coverage",
    "from_efficient_kan",
    "refine",
]
__version__ = version("kanlib")
