"""Families of fixed functions f_1 .. f_M. A learned function is a weighted sum of them.

A basis maps inputs (..., I) to values (..., M, I). It is a frozen value with a few parameters, such
as the size of a grid. It has no weights: those belong to the layer. A new family is one class, with
the members of ``Basis``, and one line in ``BASES``.
"""

import math
from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from kanlib.nn import splines
from kanlib.nn.arguments import as_integer, as_sizes

# Of points. Not every device has float64.
_EXACT: Any = {"dtype": torch.float64, "device": "cpu"}
# The height of the Mexican hat, which gives it unit norm.
_HAT = 2 / (math.sqrt(3) * math.pi**0.25)


class Basis(Protocol):
    """What a layer needs to know about a family of M functions f_1 .. f_M."""

    @property
    def size(self) -> int:
        """The number M of functions, >= 1."""
        ...

    @property
    def points(self) -> Tensor:
        """(P,) float64 on the CPU, the points where a new layer interpolates its noise."""
        ...

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """f_m: (..., I) -> (..., M, I), written into ``out`` if given; autograd need not work."""
        ...

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """d^n f_m/dx^n, n = ``order`` >= 1: (..., I) -> (..., M, I).

        Autograd need not work: the layer asks for the next order. A basis without the second
        derivatives may leave ``order`` out.
        """
        ...


@dataclass(frozen=True)
class BSpline:
    """B-splines on a uniform grid: the basis of the KAN papers (Liu et al., arXiv 2404.19756).

    Args:
        grid_size: the number G >= 1 of intervals. There are M = G + k functions.
        spline_order: the polynomial degree k, 1 to 5.
        grid_range: the ends (lo, hi) of the grid. On it the functions sum to 1. They fade out over
            k intervals beyond each end. Further out they are 0, and a layer has only its base
            function left.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import BSpline
        >>> BSpline(grid_size=2, spline_order=1).values(torch.tensor([0.5])).squeeze()
        tensor([0.0000, 0.5000, 0.5000])
    """

    grid_size: int = 5
    spline_order: int = 3
    grid_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        _set_grid(self, least=1)
        order = as_integer(self.spline_order, 1)
        if order is None or order > 5:
            raise ValueError(f"BSpline: spline_order={self.spline_order!r} must be 1, 2, 3, 4 or 5")
        object.__setattr__(self, "spline_order", order)

    @property
    def size(self) -> int:
        """M = G + k."""
        return self.grid_size + self.spline_order

    @property
    def points(self) -> Tensor:
        """The G + 1 grid points."""
        return torch.linspace(*self.grid_range, self.grid_size + 1, **_EXACT)

    @property
    def support(self) -> tuple[float, float]:
        """The ends of the extended grid, lo - k h and hi + k h: beyond, all functions are 0."""
        low, high = self.grid_range
        reach = self.spline_order * (high - low) / self.grid_size
        return low - reach, high + reach

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """B_m(x): (..., I) -> (..., M, I), in [0, 1]."""
        return splines.bspline_basis(x, self.grid_size, self.spline_order, self.grid_range, out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """d^n B_m/dx^n, n = ``order``, up to k: (..., I) -> (..., M, I)."""
        return splines.bspline_slope(x, self.grid_size, self.spline_order, self.grid_range, order)


@dataclass(frozen=True)
class _Centres:
    """Functions that are one function, moved to centres h apart."""

    grid_size: int = 8
    grid_range: tuple[float, float] = (-2.0, 2.0)

    def __post_init__(self) -> None:
        _set_grid(self, least=2)

    @property
    def size(self) -> int:
        """M, the number of centres."""
        return self.grid_size

    @property
    def points(self) -> Tensor:
        """The centres."""
        return torch.linspace(*self.grid_range, self.grid_size, **_EXACT)

    @property
    def _width(self) -> float:
        low, high = self.grid_range
        return (high - low) / (self.grid_size - 1)

    def _offsets(self, x: Tensor) -> Tensor:
        z = x / self._width  # floating point even if x holds integers
        centres = self.points.to(z) / self._width  # (M,)
        return z.unsqueeze(-2) - centres.unsqueeze(-1)  # (..., M, I)

    def _bump_slopes(self, x: Tensor, steepness: float, order: int) -> Tensor:
        """d^n/dt^n exp(-c t^2) at the offsets t from the centres: g_n+1 = -2c (t g_n + n g_n-1)."""
        offset = self._offsets(x)
        before, found = torch.zeros_like(offset), (offset.square() * -steepness).exp_()
        for n in range(order):
            before.mul_(n).addcmul_(offset, found).mul_(-2 * steepness)
            before, found = found, before
        return found


@dataclass(frozen=True)
class GaussianRBF(_Centres):
    """Gaussian bumps exp(-((x - c_m) / h)^2) with centres h apart (FastKAN, arXiv 2405.06721).

    FastKAN normalises the input of its bumps: see ``layer_norm`` of ``KANLinear``.

    Args:
        grid_size: the number M >= 2 of centres.
        grid_range: the first and the last centre (lo, hi); h = (hi - lo) / (M - 1).

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import GaussianRBF
        >>> GaussianRBF(3, (-1, 1)).values(torch.tensor([0.0])).squeeze()
        tensor([0.3679, 1.0000, 0.3679])
    """

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """exp(-((x - c_m) / h)^2): (..., I) -> (..., M, I), in (0, 1]."""
        return torch.exp(self._offsets(x).square_().neg_(), out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """-2 (x - c_m) / h^2 exp(-((x - c_m) / h)^2), or more: (..., I) -> (..., M, I)."""
        if order > 1:
            return self._bump_slopes(x, 1, order).div_(self._width**order)
        offset = self._offsets(x)
        return offset.square().neg_().exp_().mul_(offset).mul_(-2 / self._width)


@dataclass(frozen=True)
class MexicanHat(_Centres):
    """Wavelets 2 / (sqrt(3) pi^(1/4)) (1 - t^2) exp(-t^2 / 2), t = (x - c_m) / h, centres h apart.

    Wav-KAN (arXiv 2405.12832) has one such wavelet on each edge, whose centre and width are
    learned, and batch normalisation after it. Here centres and widths are fixed, so that the layer
    stays one product.

    Args:
        grid_size: the number M >= 2 of centres.
        grid_range: the first and the last centre (lo, hi); h = (hi - lo) / (M - 1).

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import MexicanHat
        >>> MexicanHat(3, (-1, 1)).values(torch.tensor([0.5])).squeeze()
        tensor([-0.3520,  0.5741,  0.5741])
    """

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """The wavelets: (..., I) -> (..., M, I)."""
        squares = self._offsets(x).square_()
        return torch.mul((squares / -2).exp_() * _HAT, 1 - squares, out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """2 / (sqrt(3) pi^(1/4)) (t^3 - 3 t) exp(-t^2 / 2) / h: (..., I) -> (..., M, I)."""
        if order > 1:  # the hat is itself a second derivative, of -exp(-t^2 / 2)
            return self._bump_slopes(x, 0.5, order + 2).mul_(-_HAT / self._width**order)
        offset = self._offsets(x)
        squares = offset.square()
        return (squares / -2).exp_().mul_(offset).mul_(squares.sub_(3)).mul_(_HAT / self._width)


@dataclass(frozen=True)
class Chebyshev:
    """Chebyshev polynomials T_1 .. T_M of tanh(x) (ChebyKAN, arXiv 2405.07200).

    T_0 is left out: the constants on the edges of an output add up to one bias.

    Args:
        degree: the highest degree M >= 1.

    Raises:
        ValueError: ``degree`` is not a positive integer.

    Examples:
        >>> import torch
        >>> from kanlib import Chebyshev
        >>> Chebyshev(2).values(torch.tensor([0.5]).atanh()).squeeze()
        tensor([ 0.5000, -0.5000])
    """

    degree: int = 4

    def __post_init__(self) -> None:
        _set_degree(self)

    @property
    def size(self) -> int:
        """M, the highest degree."""
        return self.degree

    @property
    def points(self) -> Tensor:
        """The inputs that tanh takes to the M + 1 Chebyshev nodes of [-1, 1]."""
        return torch.atanh(_chebyshev_nodes(self.degree + 1))

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """T_m(tanh x) = cos(m arccos(tanh x)): (..., I) -> (..., M, I), in [-1, 1]."""
        return torch.cos(self._angles(x, self.degree), out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """T_m'(u) (1 - u^2) = m sin(m a) sin(a) at u = tanh x = cos a: (..., I) -> (..., M, I).

        Or more: da/dx = -sin a, so that d/dx cos(m a) = m/2 (cos((m - 1) a) - cos((m + 1) a)).
        """
        if order > 1:
            count = self.degree + order
            by_cosine = torch.eye(count + 1, device="cpu")[1 : self.degree + 1]
            step = torch.arange(count + 1, device="cpu") / 2  # m/2
            for _ in range(order):  # from the coefficients of cos(m a), m = 0 .. M + n
                moved = by_cosine * step
                by_cosine = F.pad(moved[:, 1:], (0, 1)) - F.pad(moved[:, :-1], (1, 0))
            cosines = torch.cos(self._angles(x, count))
            cosines = torch.cat([torch.ones_like(cosines[..., :1, :]), cosines], -2)
            return by_cosine.to(cosines) @ cosines
        angles = self._angles(x, self.degree)
        return torch.sin(angles).mul_(_up_to(self.degree, x)).mul_(torch.sin(angles[..., :1, :]))

    def _angles(self, x: Tensor, count: int) -> Tensor:
        cosine = torch.tanh(x)
        if torch.compiler.is_exporting():  # autograd asks for the slope of acos, infinite at 1
            cosine = cosine.clamp(-1 + (eps := torch.finfo(x.dtype).eps), 1 - eps)
        return torch.acos(cosine).unsqueeze(-2) * _up_to(count, x)


@dataclass(frozen=True)
class Fourier:
    """cos(m x) and sin(m x), m = 1 .. K (FourierKAN, github.com/GistNoesis/FourierKAN).

    There is no constant, as in ``Chebyshev``.

    Args:
        degree: the highest frequency K >= 1. There are M = 2 K functions of period 2 pi.

    Raises:
        ValueError: ``degree`` is not a positive integer.

    Examples:
        >>> import torch
        >>> from kanlib import Fourier
        >>> Fourier(1).values(torch.tensor([0.0])).squeeze()
        tensor([1., 0.])
    """

    degree: int = 4

    def __post_init__(self) -> None:
        _set_degree(self)

    @property
    def size(self) -> int:
        """M = 2 K."""
        return 2 * self.degree

    @property
    def points(self) -> Tensor:
        """2 K + 1 points, equally far apart over one period around 0."""
        k = torch.arange(-self.degree, self.degree + 1, **_EXACT)
        return k * (2 * math.pi / len(k))

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """cos(x) .. cos(K x), sin(x) .. sin(K x): (..., I) -> (..., M, I), in [-1, 1]."""
        angles = x.unsqueeze(-2) * _up_to(self.degree, x)
        return torch.cat([torch.cos(angles), torch.sin(angles)], dim=-2, out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """-m sin(m x) and m cos(m x), or more: (..., I) -> (..., M, I)."""
        frequencies = _up_to(self.degree, x)
        angles = x.unsqueeze(-2) * frequencies
        waves = (torch.sin, torch.cos) if order % 2 else (torch.cos, torch.sin)
        signs = (-1) ** ((order + 1) // 2), (-1) ** (order // 2)
        factors = frequencies**order
        return torch.cat(
            [sign * factors * wave(angles) for sign, wave in zip(signs, waves, strict=True)], -2
        )


@dataclass(frozen=True)
class Polynomial:
    """Powers 1, x, .. x^p: the edges of the Kolmogorov-Arnold autoencoder KAE (arXiv 2501.00420).

    With the base function "zero" the layer computes what a layer of KAE does. Its authors add a
    bias, which says no more than the constants of the edges. Powers grow fast: keep inputs within
    [-1, 1].

    Args:
        degree: the highest power p >= 1. There are M = p + 1 functions.

    Raises:
        ValueError: ``degree`` is not a positive integer.

    Examples:
        >>> import torch
        >>> from kanlib import Polynomial
        >>> Polynomial(2).values(torch.tensor([0.5])).squeeze()
        tensor([1.0000, 0.5000, 0.2500])
    """

    degree: int = 3

    def __post_init__(self) -> None:
        _set_degree(self)

    @property
    def size(self) -> int:
        """M = p + 1."""
        return self.degree + 1

    @property
    def points(self) -> Tensor:
        """The p + 1 Chebyshev nodes of [-1, 1]."""
        return _chebyshev_nodes(self.size)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """x^m, m = 0 .. p: (..., I) -> (..., M, I)."""
        x = x / 1  # floating point even if x holds integers
        powers = [torch.ones_like(x), x]
        while len(powers) < self.size:
            powers.append(powers[-1] * x)
        return torch.stack(powers, dim=-2, out=out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """The slopes m x^(m - 1), m = 0 .. p, or more: (..., I) -> (..., M, I)."""
        values, count = self.values(x), min(order, self.size)
        factors = [[math.perm(m, order)] for m in range(count, self.size)]
        powers = values[..., : self.size - count, :] * values.new_tensor(factors).view(-1, 1)
        return torch.cat([torch.zeros_like(values[..., :count, :]), powers], dim=-2)


# The families by name. A new family is one class and one line here. The fields of the dataclass are
# its parameters; each has a default.
BASES: dict[str, type[Any]] = {
    "bspline": BSpline,
    "gaussian-rbf": GaussianRBF,
    "chebyshev": Chebyshev,
    "fourier": Fourier,
    "mexican-hat": MexicanHat,
    "polynomial": Polynomial,
}


def _up_to(degree: int, x: Tensor) -> Tensor:
    """1 .. degree, as x is: (degree, 1)."""
    return torch.arange(1, degree + 1, dtype=x.dtype, device=x.device).unsqueeze(-1)


def _chebyshev_nodes(count: int) -> Tensor:
    k = torch.arange(count, **_EXACT)
    return torch.cos((k + 0.5) * math.pi / count)


def _set_degree(basis: Any) -> None:
    """Check the degree of a new basis, and make it an int."""
    (degree,) = as_sizes(type(basis).__name__, degree=basis.degree)
    object.__setattr__(basis, "degree", degree)


def _set_grid(basis: Any, least: int) -> None:
    """Check the grid of a new basis, and make it an int >= ``least`` and two floats."""
    owner, grid_range = type(basis).__name__, basis.grid_range
    grid_size = as_integer(basis.grid_size, least)
    if grid_size is None:
        raise ValueError(f"{owner}: grid_size={basis.grid_size!r} must be an integer >= {least}")
    try:
        low, high = grid_range
        if not -math.inf < low < high < math.inf:
            raise ValueError
    except (TypeError, ValueError):
        raise ValueError(
            f"{owner}: grid_range={grid_range!r} must be two finite numbers (lo, hi) with lo < hi"
        ) from None
    object.__setattr__(basis, "grid_size", grid_size)
    object.__setattr__(basis, "grid_range", (float(low), float(high)))
