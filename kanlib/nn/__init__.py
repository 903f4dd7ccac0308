"""Learned functions, and layers made of them. Imports torch alone."""

from kanlib.nn.bases import (
    BASES,
    Basis,
    BSpline,
    Chebyshev,
    Fourier,
    GaussianRBF,
    MexicanHat,
    Polynomial,
)
from kanlib.nn.conv import KANConv1d, KANConv2d, KANConvTranspose2d
from kanlib.nn.efficient_kan import from_efficient_kan
from kanlib.nn.grids import Coverage, Refinement, coverage, refine, refine_model, update_grids
from kanlib.nn.linear import KAN, KANLinear
from kanlib.nn.own_grids import OwnKnots, OwnRange
from kanlib.nn.rational import FAMILIES, Rational, RationalActivation, RationalLinear
from kanlib.nn.regularization import regularization_loss
from kanlib.nn.shared import SharedFunctions, SharedLinear

__all__ = [
    "BASES",
    "FAMILIES",
    "KAN",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Coverage",
    "Fourier",
    "GaussianRBF",
    "KANConv1d",
    "KANConv2d",
    "KANConvTranspose2d",
    "KANLinear",
    "MexicanHat",
    "OwnKnots",
    "OwnRange",
    "Polynomial",
    "Rational",
    "RationalActivation",
    "RationalLinear",
    "Refinement",
    "SharedFunctions",
    "SharedLinear",
    "coverage",
    "from_efficient_kan",
    "refine",
    "refine_model",
    "regularization_loss",
    "update_grids",
]
