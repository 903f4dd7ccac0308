"""Learned functions, and layers made of them. Imports torch alone."""

from kanlib.nn.activation import SplineActivation
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
from kanlib.nn.grids import Coverage, Refinement, coverage, refine, refine_model
from kanlib.nn.linear import KANLinear
from kanlib.nn.rational import FAMILIES, Rational, RationalActivation, RationalLinear

__all__ = [
    "BASES",
    "FAMILIES",
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
    "Polynomial",
    "Rational",
    "RationalActivation",
    "RationalLinear",
    "Refinement",
    "SplineActivation",
    "coverage",
    "from_efficient_kan",
    "refine",
    "refine_model",
]
