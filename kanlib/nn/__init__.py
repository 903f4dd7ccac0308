"""Learned functions, and layers made of them. Costs torch alone."""

from kanlib.nn.activation import SplineActivation
from kanlib.nn.bases import Basis, BSpline, Chebyshev, GaussianRBF
from kanlib.nn.efficient_kan import from_efficient_kan
from kanlib.nn.grids import Coverage, coverage, refine, refine_model
from kanlib.nn.linear import KANLinear

__all__ = [
    "BSpline",
    "Basis",
    "Chebyshev",
    "Coverage",
    "GaussianRBF",
    "KANLinear",
    "SplineActivation",
    "coverage",
    "from_efficient_kan",
    "refine",
    "refine_model",
]
