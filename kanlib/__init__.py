"""KAN layers and autoencoders: ``import kanlib`` loads torch alone.

The packages, each built on those before it: ``nn`` (layers of learned functions), ``data`` (data
sets as tensors), ``models`` (autoencoders by name), ``training``, ``experiments`` (runs and their
records), ``report`` (tables, figures, claims), ``interpretability``. What a package's own page
names is public; nothing else is.
"""

from importlib.metadata import version

from kanlib.models import MODELS, PCA, Autoencoder, build_model, count_parameters
from kanlib.nn import (
    Basis,
    BSpline,
    Chebyshev,
    GaussianRBF,
    KANLinear,
    coverage,
    from_efficient_kan,
    refine,
)

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
