"""Learned functions, and layers made of them. Imports torch alone."""

from kanlib.nn.activation import SplineActivation
from kanlib.nn.bases import BASES, Basis, BSpline, Chebyshev, GaussianRBF
from kanlib.nn.efficient_kan import from_efficient_kan
from kanlib.nn.grids import Coverage, Refinement, coverage, refine, refine_model
from kanlib.nn.linear import KANLinear

__all__ = [
    "BASES",
    "BSpline",
    "Basis",
    "Chebyshev",
    "Coverage",
    "GaussianRBF",
    "KANLinear",
    "Refinement",
    "SplineActivation",
    "coverage",
    "from_efficient_kan",
    "refine",
    "refine_model",
]
