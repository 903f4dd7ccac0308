"""KAN layers and autoencoders: ``import kanlib`` loads torch alone.

The packages, each built on those before it: ``nn`` (layers of learned functions), ``data`` (data
sets as tensors), ``models`` (autoencoders by name), ``training``, ``experiments`` (runs and their
records), ``report`` (tables, figures, claims), ``interpretability``. What a package's own page
names is public; nothing else is.
"""

from importlib import metadata
from typing import TYPE_CHECKING, Any

from kanlib.models import MODELS, PCA, Autoencoder, build_model, count_parameters
from kanlib.nn import (
    KAN,
    Basis,
    BSpline,
    Chebyshev,
    Fourier,
    GaussianRBF,
    KANConv1d,
    KANConv2d,
    KANConvTranspose2d,
    KANLinear,
    MexicanHat,
    Polynomial,
    RationalLinear,
    SharedLinear,
    coverage,
    from_efficient_kan,
    refine,
    regularization_loss,
    update_grids,
)

if TYPE_CHECKING:
    from kanlib.estimator import KANAutoencoder
    from kanlib.experiments import load

__all__ = [
    "KAN",
    "MODELS",
    "PCA",
    "Autoencoder",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Fourier",
    "GaussianRBF",
    "KANAutoencoder",
    "KANConv1d",
    "KANConv2d",
    "KANConvTranspose2d",
    "KANLinear",
    "MexicanHat",
    "Polynomial",
    "RationalLinear",
    "SharedLinear",
    "build_model",
    "count_parameters",
    "coverage",
    "from_efficient_kan",
    "load",
    "refine",
    "regularization_loss",
    "update_grids",
]
try:
    __version__ = metadata.version("kanlib")
except metadata.PackageNotFoundError:  # imported from a clone that is not installed
    __version__ = "unknown"


def __getattr__(name: str) -> Any:
    """What needs more than torch, when it is asked for."""
    if name == "load":
        from kanlib.experiments import load

        return load
    if name == "KANAutoencoder":
        from kanlib.estimator import KANAutoencoder

        return KANAutoencoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
