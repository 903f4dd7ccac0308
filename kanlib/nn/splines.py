"""The mathematics of B-splines, as pure functions of tensors.

Shapes: I inputs, M = G + k functions, ``...`` any leading axes. The axis of the functions comes
before that of the inputs, so that every pass runs over contiguous inputs.

On a uniform grid all B-splines of order k are shifts of one bump, the centred cardinal B-spline
(Schoenberg 1946; de Boor, A Practical Guide to Splines, ch. IX-X)::

    M_k(t) = 1/k!  sum_i (-1)^i C(k+1, i) ((k+1)/2 - i - |t|)_+^k,    i = 0 .. floor(k/2)
    B_j(x) = M_k(z - c_j),  z = (x - lo) G / (hi - lo),  c_j = j - (k - 1)/2,  j = 0 .. G+k-1

This needs no recursion: a few truncated powers give all M functions at once.

In all functions ``grid_size`` is the number G >= 1 of intervals, ``spline_order`` the polynomial
degree k, 1 to 5, and ``grid_range`` the ends (lo, hi) of the grid. ``kanlib.nn.BSpline`` checks
them.
"""

import math

import torch
from torch import Tensor


def bspline_basis(
    x: Tensor,
    grid_size: int,
    spline_order: int,
    grid_range: tuple[float, float],
    out: Tensor | None = None,
) -> Tensor:
    """The values B_j(x) of all B-splines. They sum to 1 on the grid and are 0 far from it.

    Args:
        x: (..., I) floating point, any values.
        grid_size: G.
        spline_order: k.
        grid_range: (lo, hi).
        out: (..., M, I), any strides; the values are written into it. Autograd does not follow:
            ``bspline_slope`` is the derivative.

    Returns:
        (..., M, I), values in [0, 1]; ``out`` itself if it was given.

    Raises:
        ValueError: ``x`` has no axis or is not floating point.
    """
    _check_points(x)
    # All distances carry the factor k!^(-1/k). Its k-th power is the 1/k! of M_k.
    unit = math.factorial(spline_order) ** (-1 / spline_order)
    distance = _offsets(x, grid_size, spline_order, grid_range, unit).abs_()  # (..., M, I)
    return _truncated_powers(distance, spline_order, spline_order, unit, out)


def bspline_slope(
    x: Tensor, grid_size: int, spline_order: int, grid_range: tuple[float, float]
) -> Tensor:
    """The derivatives dB_j/dx of all B-splines.

    M_k'(t) = -sign(t)/(k-1)! sum_i (-1)^i C(k+1, i) ((k+1)/2 - i - |t|)_+^(k-1). At order 1 the
    slope jumps at the knots; the function returns the slope to the right of the knot.

    Args:
        x: (..., I) floating point.
        grid_size: G.
        spline_order: k.
        grid_range: (lo, hi).

    Returns:
        (..., M, I), in units of 1/x.

    Raises:
        ValueError: ``x`` has no axis or is not floating point.
    """
    _check_points(x)
    steepness = grid_size / (grid_range[1] - grid_range[0])  # dz/dx
    if spline_order == 1:
        offset = _offsets(x, grid_size, spline_order, grid_range, 1.0)
        rising, falling = (offset >= -1) & (offset < 0), (offset >= 0) & (offset < 1)
        return rising.to(x.dtype).sub_(falling.to(x.dtype)).mul_(steepness)
    degree = spline_order - 1
    unit = (steepness / math.factorial(degree)) ** (1 / degree)
    offset = _offsets(x, grid_size, spline_order, grid_range, unit)  # (..., M, I)
    slope = _truncated_powers(offset.abs(), degree, spline_order, unit)
    return slope.mul_(offset.sign_().neg_())


def fit_coefficients(basis: Tensor, values: Tensor) -> Tensor:
    """The coefficients c that solve ``basis^T c = values`` by least squares, of smallest norm.

    Args:
        basis: (M, P), the values of M functions at P points.
        values: (P, ...) floating point, the wanted values at these points.

    Returns:
        (M, ...), in the dtype of ``values``.
    """
    # In float64: the normal matrix of a fine grid is ill-conditioned in single precision.
    solve = torch.linalg.pinv(basis.double().T)  # (M, P)
    return torch.tensordot(solve, values.double(), dims=1).to(values.dtype)


def _check_points(x: Tensor) -> None:
    """Refuse integers, which would cut the functions off to integers too."""
    if x.ndim == 0 or not x.is_floating_point():
        raise ValueError(
            f"x of shape {tuple(x.shape)} and {x.dtype} must be floating point and have at least "
            "one axis"
        )


def _offsets(
    x: Tensor, grid_size: int, spline_order: int, grid_range: tuple[float, float], unit: float
) -> Tensor:
    """Signed distances z - c_j of ``x`` from the centre of each bump, times ``unit``."""
    low, high = grid_range
    z = (x - low) * (unit * grid_size / (high - low))
    centres = torch.arange(grid_size + spline_order, dtype=x.dtype, device=x.device)
    centres = (centres - (spline_order - 1) / 2) * unit  # (M,)
    return z.unsqueeze(-2) - centres.unsqueeze(-1)  # (..., M, I)


def _truncated_powers(
    distance: Tensor, power: int, spline_order: int, unit: float, out: Tensor | None = None
) -> Tensor:
    """Sum over i of (-1)^i C(k+1, i) ((k+1)/2 - i - distance)_+^power; overwrites ``distance``."""
    reach = distance.new_full((), (spline_order + 1) / 2 * unit)
    inside = torch.sub(reach, distance, out=distance).relu_()  # 0 beyond the support
    total = _power(inside, power, out)
    for i in range(1, spline_order // 2 + 1):
        inside.sub_(unit).relu_()  # ((k+1)/2 - i - |t|)_+ from the term before
        weight = (-1) ** i * math.comb(spline_order + 1, i)
        # The last term may overwrite ``inside``: one temporary less saves time.
        last = i == spline_order // 2
        total.add_(_power(inside, power, inside if last else None), alpha=weight)
    return total


def _power(x: Tensor, power: int, out: Tensor | None = None) -> Tensor:
    """``x ** power`` for powers 1 to 5; torch has fast kernels up to 3 only."""
    if power <= 3:
        return torch.pow(x, power, out=out)
    fourth = x.square().square_()
    return torch.mul(fourth, x if power == 5 else 1, out=out)
