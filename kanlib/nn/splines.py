"""The mathematics of B-splines, as pure functions of tensors.

Shapes: I inputs, M = G + k functions, ``...`` any leading axes. The axis of the functions comes
before that of the inputs, so that every pass runs over contiguous inputs.

On a uniform grid all B-splines of order k are shifts of one bump, the centred cardinal B-spline
(Schoenberg 1946; de Boor, A Practical Guide to Splines, ch. IX-X)::

    M_k(t) = 1/k!  sum_i (-1)^i C(k+1, i) ((k+1)/2 - i - |t|)_+^k,    i = 0 .. floor(k/2)
    B_j(x) = M_k(z - c_j),  z = (x - lo) G / (hi - lo),  c_j = j - (k - 1)/2,  j = 0 .. G+k-1

This needs no recursion: a few truncated powers give all M functions at once. Knots that each input
places for itself do (``knot_basis``).

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
    x: Tensor,
    grid_size: int,
    spline_order: int,
    grid_range: tuple[float, float],
    derivative: int = 1,
) -> Tensor:
    """The derivatives d^n B_j/dx^n of all B-splines.

    For n < k the n-th derivative of M_k(t) is (-sign(t))^n/(k-n)! sum_i (-1)^i C(k+1, i)
    ((k+1)/2 - i - |t|)_+^(k-n). For n = k it is (-1)^j C(k, j) on the j-th of the k + 1 intervals
    of the bump. It jumps at the knots; the function returns the value to the right of the knot.

    Args:
        x: (..., I) floating point.
        grid_size: G.
        spline_order: k.
        grid_range: (lo, hi).
        derivative: n, 1 to k.

    Returns:
        (..., M, I), in units of 1/x^n.

    Raises:
        ValueError: ``x`` has no axis or is not floating point, or the splines have no such
            derivative.
    """
    _check_points(x)
    _check_derivative(derivative, spline_order)
    steepness = (grid_size / (grid_range[1] - grid_range[0])) ** derivative  # (dz/dx)^n
    degree = spline_order - derivative
    if degree == 0:
        return _steps(x, grid_size, spline_order, grid_range).mul_(steepness)
    unit = (steepness / math.factorial(degree)) ** (1 / degree)
    offset = _offsets(x, grid_size, spline_order, grid_range, unit)  # (..., M, I)
    if derivative % 2 == 0:
        return _truncated_powers(offset.abs_(), degree, spline_order, unit)
    slope = _truncated_powers(offset.abs(), degree, spline_order, unit)
    return slope.mul_(offset.sign_())


def knot_basis(x: Tensor, knots: Tensor, spline_order: int) -> Tensor:
    """The values of the B-splines on any knots, by the recursion of Cox and de Boor.

    Args:
        x: (..., I) floating point.
        knots: (I, G + 2k + 1), ascending along each row; knots may coincide.
        spline_order: k.

    Returns:
        (..., M, I), values in [0, 1].
    """
    t, x = knots.to(x).T, x.unsqueeze(-2)
    value = ((x >= t[:-1]) & (x < t[1:])).to(x.dtype)
    for k in range(1, spline_order + 1):
        inverse = _inverse(t[k:] - t[:-k])
        rise, fall = (x - t[: -k - 1]) * inverse[:-1], (t[k + 1 :] - x) * inverse[1:]
        value = rise * value[..., :-1, :] + fall * value[..., 1:, :]
    return value


def knot_slope(x: Tensor, knots: Tensor, spline_order: int, derivative: int = 1) -> Tensor:
    """The derivatives d^n/dx^n of ``knot_basis``; where they jump, the value to the right.

    B_j' = k (B_j / (t_{j+k} - t_j) - B_{j+1} / (t_{j+k+1} - t_{j+1})), both of order k - 1 (de
    Boor, ch. X).

    Args:
        x: (..., I) floating point.
        knots: (I, G + 2k + 1).
        spline_order: k.
        derivative: n, 1 to k.

    Returns:
        (..., M, I), in units of 1/x^n.

    Raises:
        ValueError: the splines have no such derivative.
    """
    _check_derivative(derivative, spline_order)
    t = knots.to(x).T
    found = knot_basis(x, knots, spline_order - derivative)
    for k in range(spline_order - derivative + 1, spline_order + 1):
        found = found * (k * _inverse(t[k:] - t[:-k]))
        found = found[..., :-1, :] - found[..., 1:, :]
    return found


def data_knots(
    x: Tensor, grid_size: int, spline_order: int, grid_eps: float, margin: Tensor
) -> Tensor:
    """Knots for each input from its values: a mixture of uniform ones and quantiles.

    Args:
        x: (N, I), N >= 1.
        grid_size: G.
        spline_order: k.
        grid_eps: the share of the uniform knots, 0 to 1.
        margin: (I,), how far the uniform knots reach beyond the values.

    Returns:
        (I, G + 2k + 1). Beyond the ends the knots are as far apart as uniform ones are.
    """
    x = x.sort(dim=0).values
    low, high = x[0] - margin, x[-1] + margin
    step = (high - low) / grid_size
    uniform = low + torch.arange(grid_size + 1).to(x)[:, None] * step
    places = torch.linspace(0, len(x) - 1, grid_size + 1, dtype=torch.int64, device=x.device)
    knots = grid_eps * uniform + (1 - grid_eps) * x[places]
    beyond = torch.arange(1, spline_order + 1).to(x)[:, None] * step
    return torch.cat([knots[:1] - beyond.flip(0), knots, knots[-1:] + beyond]).T


def fit_coefficients(basis: Tensor, values: Tensor) -> Tensor:
    """The coefficients c that solve ``basis^T c = values`` by least squares, of smallest norm.

    Args:
        basis: (M, P), the values of M functions at P points.
        values: (P, ...) floating point, the wanted values at these points.

    Returns:
        (M, ...), in the dtype of ``values``.
    """
    # In float64: the normal matrix of a fine grid is ill-conditioned in single precision.
    place = with_float64(values.device)
    solve = torch.linalg.pinv(basis.to(place).double().T)  # (M, P)
    found = torch.tensordot(solve, values.to(place).double(), dims=1)
    return found.to(values.dtype).to(values.device)


def with_float64(device: torch.device) -> torch.device:
    """``device``, or the CPU if it has no float64, as Apple's GPUs have not."""
    try:
        torch.zeros(1, dtype=torch.float64, device=device)
    except (TypeError, RuntimeError):
        return torch.device("cpu")
    return device


def _inverse(width: Tensor) -> Tensor:
    """1 / width; 0 where knots coincide, as the recursion wants it."""
    return torch.where(width > 0, 1 / width, 0)


def _check_points(x: Tensor) -> None:
    """Refuse integers, which would cut the functions off to integers too."""
    if x.ndim == 0 or not x.is_floating_point():
        raise ValueError(
            f"x of shape {tuple(x.shape)} and {x.dtype} must be floating point and have at least "
            "one axis"
        )


def _check_derivative(derivative: int, spline_order: int) -> None:
    """Refuse a derivative that is 0 between the knots and infinite at them."""
    if not 1 <= derivative <= spline_order:
        raise ValueError(
            f"derivative={derivative} of B-splines must be 1 to spline_order={spline_order}: take "
            "splines of a higher order, or another basis"
        )


def _steps(x: Tensor, grid_size: int, spline_order: int, grid_range: tuple[float, float]) -> Tensor:
    """The k-th derivatives of all bumps by z: constant on each interval."""
    low, high = grid_range
    cell = torch.floor((x - low) * (grid_size / (high - low)))
    first = torch.arange(grid_size + spline_order, dtype=x.dtype, device=x.device) - spline_order
    place = cell.unsqueeze(-2) - first.unsqueeze(-1)  # (..., M, I), 0 to k within the bump
    total = torch.zeros_like(place)
    for j in range(spline_order + 1):
        total.add_((place == j).to(x.dtype), alpha=(-1) ** j * math.comb(spline_order, j))
    return total


def _offsets(
    x: Tensor, grid_size: int, spline_order: int, grid_range: tuple[float, float], unit: float
) -> Tensor:
    """Signed distances c_j - z from ``x`` to the centre of each bump, times ``unit``."""
    low, high = grid_range
    z = (x - low) * (unit * grid_size / (high - low))
    centres = torch.arange(grid_size + spline_order, dtype=x.dtype, device=x.device)
    centres = (centres - (spline_order - 1) / 2) * unit  # (M,)
    return centres.unsqueeze(-1) - z.unsqueeze(-2)  # (..., M, I)


def _truncated_powers(
    distance: Tensor, power: int, spline_order: int, unit: float, out: Tensor | None = None
) -> Tensor:
    """Sum over i of (-1)^i C(k+1, i) ((k+1)/2 - i - distance)_+^power; overwrites ``distance``."""
    reach = distance.new_full((), (spline_order + 1) / 2 * unit)
    if torch.compiler.is_exporting():  # autograd differentiates the program as it is written
        total, inside = torch.zeros_like(distance), reach - distance
        for i in range(spline_order // 2 + 1):
            inside = (inside - unit if i else inside).relu()
            total = total + (-1) ** i * math.comb(spline_order + 1, i) * _power(inside, power)
        return total
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
