"""The definitions, computed slowly by numpy and scipy in float64, to compare the library with."""

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.interpolate import BSpline as ScipyBSpline
from torch import Tensor

from kanlib import KANLinear
from kanlib.nn import Basis, BSpline, Chebyshev, GaussianRBF

Array = NDArray[np.float64]


def knots(basis: BSpline) -> Array:
    """The extended, uniform knots."""
    (low, high), order = basis.grid_range, basis.spline_order
    return low + np.arange(-order, basis.grid_size + order + 1) * (high - low) / basis.grid_size


def basis_values(basis: Basis, x: Array, derivative: int = 0) -> Array:
    """f_m(x), or its derivative: (P,) -> (P, M)."""
    match basis:
        case BSpline():
            return _bspline_values(basis, x, derivative)
        case GaussianRBF():
            low, high = basis.grid_range
            width = (high - low) / (basis.grid_size - 1)
            offsets = (x[:, None] - (low + np.arange(basis.grid_size) * width)) / width
            bumps = np.exp(-(offsets**2))
            return -2 * offsets / width * bumps if derivative else bumps
        case Chebyshev():
            u = np.tanh(x)
            polynomials = np.eye(basis.degree + 1)[1:]  # T_1 .. T_M
            if derivative:
                slopes = [chebyshev.chebval(u, chebyshev.chebder(p)) for p in polynomials]
                return np.stack(slopes, axis=1) * (1 - u**2)[:, None]
            return np.stack([chebyshev.chebval(u, p) for p in polynomials], axis=1)
    raise NotImplementedError(basis)


def _bspline_values(basis: BSpline, x: Array, derivative: int) -> Array:
    t, order = knots(basis), basis.spline_order
    columns = []
    for j in range(basis.grid_size + order):
        element = ScipyBSpline.basis_element(t[j : j + order + 2], extrapolate=False)
        values = element.derivative(derivative)(x) if derivative else element(x)
        columns.append(np.nan_to_num(values))  # scipy has NaN where the spline is 0
    return np.stack(columns, axis=1)


def layer_outputs(layer: KANLinear, x: Tensor) -> Array:
    """y_o = sum_i (w_oi0 base(x_i) + s_oi sum_m w_oim f_m(x_i)), by loops: (N, I) -> (N, O)."""
    rows, weight = x.detach().double().numpy(), layer.weight.detach().double().numpy()
    scale = np.ones((layer.out_features, layer.in_features))
    if layer.spline_scale is not None:
        scale = layer.spline_scale.detach().double().numpy()
    y = np.zeros((len(rows), layer.out_features))
    for i in range(layer.in_features):
        bases = {"silu": rows[:, i] / (1 + np.exp(-rows[:, i])), "identity": rows[:, i], "zero": 0}
        base = bases[layer.base]
        functions = basis_values(layer.basis, rows[:, i])  # (N, M)
        for o in range(layer.out_features):
            y[:, o] += weight[o, 0, i] * base + scale[o, i] * (functions @ weight[o, 1:, i])
    return y
