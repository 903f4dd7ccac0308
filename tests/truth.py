"""The definitions, computed slowly by numpy and scipy in float64, to compare the library with."""

import numpy as np
from numpy.polynomial import Polynomial as Powers
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.interpolate import BSpline as ScipyBSpline
from torch import Tensor

from kanlib import KANLinear
from kanlib.nn import (
    Basis,
    BSpline,
    Chebyshev,
    Fourier,
    GaussianRBF,
    MexicanHat,
    Polynomial,
)

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
        case MexicanHat():
            low, high = basis.grid_range
            width = (high - low) / (basis.grid_size - 1)
            t = (x[:, None] - (low + np.arange(basis.grid_size) * width)) / width
            bumps = 2 / np.sqrt(3 * np.sqrt(np.pi)) * np.exp(-(t**2) / 2)
            return (t**3 - 3 * t) * bumps / width if derivative else (1 - t**2) * bumps
        case Fourier():
            waves = [
                np.exp(1j * m * x) * (1j * m) ** derivative for m in range(1, basis.degree + 1)
            ]
            return np.stack([w.real for w in waves] + [w.imag for w in waves], axis=1)
        case Polynomial():
            powers = [Powers.basis(m).deriv(derivative) for m in range(basis.degree + 1)]
            return np.stack([power(x) for power in powers], axis=1)
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
    """y_o = sum_i (w_oi0 base(x_i) + s_oi sum_m w_oim f_m(z_i)), by loops: (N, I) -> (N, O).

    z is x, or what the layer norm makes of it.
    """
    rows, weight = x.detach().double().numpy(), layer.weight.detach().double().numpy()
    scale = np.ones((layer.out_features, layer.in_features))
    if layer.spline_scale is not None:
        scale = layer.spline_scale.detach().double().numpy()
    seen = rows
    if layer.norm is not None:
        gain, offset = (p.detach().double().numpy() for p in layer.norm.parameters())
        centred = rows - rows.mean(1, keepdims=True)
        spread = np.sqrt((centred**2).mean(1, keepdims=True) + layer.norm.eps)
        seen = centred / spread * gain + offset
    y = np.zeros((len(rows), layer.out_features))
    for i in range(layer.in_features):
        bases = {"silu": rows[:, i] / (1 + np.exp(-rows[:, i])), "identity": rows[:, i], "zero": 0}
        base = bases[layer.base]
        functions = basis_values(layer.basis, seen[:, i])  # (N, M)
        for o in range(layer.out_features):
            y[:, o] += weight[o, 0, i] * base + scale[o, i] * (functions @ weight[o, 1:, i])
    return y
