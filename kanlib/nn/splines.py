"""B-spline mathematics as pure tensor functions; no ``nn``.

Shapes: I inputs, M = G + k basis functions, ``...`` any leading axes. The basis axis comes before
the input axis, so that every pass runs over contiguous inputs.

On a uniform grid all B-splines of order k are shifts of one bump, the centred cardinal B-spline
(Schoenberg 1946; de Boor, A Practical Guide to Splines, ch. IX-X)::

    M_k(t) = 1/k!  sum_i (-1)^i C(k+1, i) ((k+1)/2 - i - |t|)_+^k,    i = 0 .. floor(k/2)
    B_j(x) = M_k(z - c_j),  z = (x - lo) G / (hi - lo),  c_j = j - (k - 1)/2,  j = 0 .. G+k-1

So no recursion is needed: a few truncated powers give all M functions at once.
"""

import math

import torch
from torch import Tensor


def uniform_knots(
    grid_size: int, spline_order: int, grid_range: tuple[float, float] = (-1.0, 1.0)
) -> Tensor:
    """Knots of the uniform grid, extended by ``spline_order`` knots on each side.

    Args:
        grid_size: number G >= 1 of intervals on ``grid_range``.
        spline_order: polynomial degree k, 1 to 5.
        grid_range: ends (lo, hi) of the grid.

    Returns:
        (G + 2k + 1,) float64, increasing.

    Raises:
        ValueError: an argument is out of range.
    """
    check_grid("uniform_knots", grid_size, grid_range)
    check_order("uniform_knots", spline_order)
    low, high = grid_range
    steps = torch.arange(-spline_order, grid_size + spline_order + 1, dtype=torch.float64)
    return low + steps * (high - low) / grid_size


def bspline_basis(
    x: Tensor,
    grid_size: int,
    spline_order: int,
    grid_range: tuple[float, float] = (-1.0, 1.0),
    out: Tensor | None = None,
) -> Tensor:
    """Values of all B-splines at ``x``; they sum to 1 inside the grid and vanish far outside it.

    Args:
        x: (..., I) floating point, any values.
        grid_size: number G >= 1 of grid intervals.
        spline_order: polynomial degree k, 1 to 5.
        grid_range: ends (lo, hi) of the grid.
        out: (..., M, I) written in place when given; any strides. Autograd does not follow:
            ``bspline_slope`` has the derivative.

    Returns:
        (..., M, I), M = G + k, values in [0, 1]; ``out`` when given.

    Raises:
        ValueError: an argument is out of range.
    """
    check_grid("bspline_basis", grid_size, grid_range)
    check_order("bspline_basis", spline_order)
    _check_points("bspline_basis", x)
    # Distances carry the factor k!^(-1/k), whose k-th power is the 1/k! of M_k.
    unit = math.factorial(spline_order) ** (-1 / spline_order)
    distance = _offsets(x, grid_size, spline_order, grid_range, unit).abs_()  # (..., M, I)
    return _truncated_powers(distance, spline_order, spline_order, unit, out)


def bspline_slope(
    x: Tensor,
    grid_size: int,
    spline_order: int,
    grid_range: tuple[float, float] = (-1.0, 1.0),
) -> Tensor:
    """Derivatives dB_j/dx of all B-splines at ``x``.

    M_k'(t) = -sign(t)/(k-1)! sum_i (-1)^i C(k+1, i) ((k+1)/2 - i - |t|)_+^(k-1). At order 1 the
    slope jumps at the knots; there the slope to the right is returned.

    Args:
        x: (..., I) floating point.
        grid_size: number G >= 1 of grid intervals.
        spline_order: polynomial degree k, 1 to 5.
        grid_range: ends (lo, hi) of the grid.

    Returns:
        (..., M, I), in units of 1/x.

    Raises:
        ValueError: an argument is out of range.
    """
    check_grid("bspline_slope", grid_size, grid_range)
    check_order("bspline_slope", spline_order)
    _check_points("bspline_slope", x)
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
    """Least-squares coefficients c of smallest norm with ``basis^T c = values``.

    Args:
        basis: (M, P) values of M functions at P points, as ``bspline_basis`` gives for one input.
        values: (P, ...) wanted values at these points.

    Returns:
        (M, ...) coefficients, same dtype.

    Raises:
        ValueError: the shapes do not fit each other, or ``values`` is not floating point.
    """
    if basis.ndim != 2 or values.shape[:1] != basis.shape[1:] or not values.is_floating_point():
        raise ValueError(
            f"fit_coefficients: basis {tuple(basis.shape)} and values {tuple(values.shape)} of "
            f"{values.dtype} must be (M, P) and (P, ...) of a floating point dtype"
        )
    # In float64: the normal matrix of a fine grid is ill-conditioned in single precision.
    solve = torch.linalg.pinv(basis.double().T)  # (M, P)
    return torch.tensordot(solve, values.double(), dims=1).to(values.dtype)


def check_grid(name: str, grid_size: int, grid_range: tuple[float, float], least: int = 1) -> None:
    """Refuse a grid that is none, in the name of the function or class ``name``.

    Args:
        name: at the start of the message.
        grid_size: an integer.
        grid_range: ends (lo, hi), finite, lo < hi.
        least: smallest ``grid_size``.

    Raises:
        ValueError: an argument is out of range.
    """
    if type(grid_size) is not int or grid_size < least:
        raise ValueError(f"{name}: grid_size={grid_size!r} must be an integer >= {least}")
    try:
        low, high = grid_range
        valid = -math.inf < low < high < math.inf
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"{name}: grid_range={grid_range!r} must be two finite numbers (lo, hi) with lo < hi"
        )


def check_order(name: str, spline_order: int) -> None:
    """Refuse another polynomial degree than 1 to 5, in the name of ``name``.

    Raises:
        ValueError: it is another.
    """
    if type(spline_order) is not int or not 1 <= spline_order <= 5:
        raise ValueError(f"{name}: spline_order={spline_order!r} must be 1, 2, 3, 4 or 5")


def _check_points(name: str, x: Tensor) -> None:
    if x.ndim == 0 or not x.is_floating_point():
        raise ValueError(
            f"{name}: x of shape {tuple(x.shape)} and {x.dtype} must be floating point and have an "
            "axis"
        )


def _offsets(
    x: Tensor, grid_size: int, spline_order: int, grid_range: tuple[float, float], unit: float
) -> Tensor:
    """Signed distances z - c_j of ``x`` from the centre of each bump, in ``unit``: (..., M, I)."""
    low, high = grid_range
    z = (x - low) * (unit * grid_size / (high - low))
    centres = torch.arange(grid_size + spline_order, dtype=x.dtype, device=x.device)
    centres = (centres - (spline_order - 1) / 2) * unit  # (M,)
    return z.unsqueeze(-2) - centres.unsqueeze(-1)


def _truncated_powers(
    distance: Tensor, power: int, spline_order: int, unit: float, out: Tensor | None = None
) -> Tensor:
    """Sum over i of (-1)^i C(k+1, i) ((k+1)/2 - i - distance)_+^power; overwrites ``distance``."""
    reach = distance.new_full((), (spline_order + 1) / 2 * unit)
    inside = torch.sub(reach, distance, out=distance).relu_()  # zero beyond the support
    total = _power(inside, power, out)
    for i in range(1, spline_order // 2 + 1):
        inside.sub_(unit).relu_()  # ((k+1)/2 - i - |t|)_+ from the term before
        weight = (-1) ** i * math.comb(spline_order + 1, i)
        # The last term may overwrite its scratch: a temporary less is time saved.
        last = i == spline_order // 2
        total.add_(_power(inside, power, inside if last else None), alpha=weight)
    return total


def _power(x: Tensor, power: int, out: Tensor | None = None) -> Tensor:
    """``x ** power`` for powers 1-5; torch has fast kernels up to 3 only."""
    if power <= 3:
        return torch.pow(x, power, out=out)
    fourth = x.square().square_()
    return torch.mul(fourth, x if power == 5 else 1, out=out)
