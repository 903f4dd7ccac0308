"""Families of functions on an edge: (..., I) -> (..., M, I).

A basis is a frozen value (hyperparameters, no weights): the layer owns the coefficients. Needs
``splines.py``; ``layers.py`` turns any basis into a layer. A new family is one class with the four
members of ``Basis``.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from typing import Literal, Protocol

import torch
from torch import Tensor

from kanlib.nn import splines

BaseName = Literal["silu", "identity", "zero"]
# A base function and its gradient (grad_output, x) -> grad_x; by ``BaseName``.
BASE_FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], Callable[..., Tensor]]] = {
    "silu": (torch.nn.functional.silu, torch.ops.aten.silu_backward),
    "identity": (lambda x: x, lambda grad, x: grad),
    "zero": (torch.zeros_like, lambda grad, x: torch.zeros_like(grad)),
}


class Basis(Protocol):
    """What the layer needs to know about a family of M functions f_1 .. f_M."""

    @property
    def size(self) -> int:
        """Number M of functions."""
        ...

    @property
    def points(self) -> Tensor:
        """(P,) float64 points at which a fresh layer interpolates its initial noise."""
        ...

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """f_m(x): (..., I) -> (..., M, I), into ``out`` when given; autograd need not follow."""
        ...

    def slopes(self, x: Tensor) -> Tensor:
        """df_m/dx: (..., I) -> (..., M, I)."""
        ...


@dataclass(frozen=True)
class BSpline:
    """B-splines on a uniform, extended grid: the basis of the KAN papers (arXiv 2404.19756).

    Args:
        grid_size: number G >= 1 of intervals on ``grid_range``; M = G + k functions.
        spline_order: polynomial degree k, 1 to 5.
        grid_range: (lo, hi). Inside, the functions sum to 1; they fade out over k intervals
            beyond each end and are 0 further out: there a layer has its base function alone.

    Raises:
        ValueError: an argument is out of range.
    """

    grid_size: int = 5
    spline_order: int = 3
    grid_range: tuple[float, float] = (-1.0, 1.0)

    def __post_init__(self) -> None:
        splines.check_grid("BSpline", self.grid_size, self.grid_range)
        splines.check_order("BSpline", self.spline_order)

    @property
    def size(self) -> int:
        """M = G + k."""
        return self.grid_size + self.spline_order

    @property
    def points(self) -> Tensor:
        """The G + 1 grid points."""
        return torch.linspace(*self.grid_range, self.grid_size + 1, dtype=torch.float64)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """B_m(x): (..., I) -> (..., M, I), in [0, 1]."""
        return splines.bspline_basis(x, self.grid_size, self.spline_order, self.grid_range, out)

    def slopes(self, x: Tensor) -> Tensor:
        """dB_m/dx: (..., I) -> (..., M, I)."""
        return splines.bspline_slope(x, self.grid_size, self.spline_order, self.grid_range)


@dataclass(frozen=True)
class GaussianRBF:
    """Gaussian bumps exp(-((x - c_m) / h)^2), centres h apart (FastKAN, arXiv 2405.06721).

    Args:
        grid_size: number M >= 2 of centres, the ends of ``grid_range`` included.
        grid_range: (lo, hi) of the centres; h = (hi - lo) / (M - 1).

    Raises:
        ValueError: an argument is out of range.
    """

    grid_size: int = 8
    grid_range: tuple[float, float] = (-2.0, 2.0)

    def __post_init__(self) -> None:
        splines.check_grid("GaussianRBF", self.grid_size, self.grid_range, least=2)

    @property
    def size(self) -> int:
        """M, the number of centres."""
        return self.grid_size

    @property
    def points(self) -> Tensor:
        """The centres."""
        return torch.linspace(*self.grid_range, self.grid_size, dtype=torch.float64)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """exp(-((x - c_m) / h)^2): (..., I) -> (..., M, I), in (0, 1]."""
        return torch.exp(self._offsets(x).square_().neg_(), out=out)

    def slopes(self, x: Tensor) -> Tensor:
        """Derivatives: (..., I) -> (..., M, I)."""
        offset = self._offsets(x)
        return offset.square().neg_().exp_().mul_(offset).mul_(-2 / self._width)

    @property
    def _width(self) -> float:
        low, high = self.grid_range
        return (high - low) / (self.grid_size - 1)

    def _offsets(self, x: Tensor) -> Tensor:
        z = x / self._width  # floating point, even if x is not
        centres = self.points.to(z) / self._width  # (M,)
        return z.unsqueeze(-2) - centres.unsqueeze(-1)  # (..., M, I)


@dataclass(frozen=True)
class Chebyshev:
    """Chebyshev polynomials T_1 .. T_M of tanh(x) (ChebyKAN, arXiv 2405.07200); T_0 is left out.

    A constant on every edge is one bias an output unit, M constants would be redundant.

    Args:
        degree: highest degree M >= 1.

    Raises:
        ValueError: ``degree`` is not a positive integer.
    """

    degree: int = 4

    def __post_init__(self) -> None:
        check_sizes("Chebyshev", degree=self.degree)

    @property
    def size(self) -> int:
        """M, the highest degree."""
        return self.degree

    @property
    def points(self) -> Tensor:
        """The M + 1 Chebyshev nodes of [-1, 1], seen through atanh."""
        k = torch.arange(self.degree + 1, dtype=torch.float64)
        return torch.atanh(torch.cos((k + 0.5) * math.pi / (self.degree + 1)))

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """T_m(tanh x) = cos(m arccos(tanh x)): (..., I) -> (..., M, I), in [-1, 1]."""
        return torch.cos(self._angles(x), out=out)

    def slopes(self, x: Tensor) -> Tensor:
        """T_m'(u) (1 - u^2) = m sin(m a) sin(a) at u = tanh x = cos a: (..., I) -> (..., M, I)."""
        angles = self._angles(x)
        degrees = self._degrees(x)
        return torch.sin(angles).mul_(degrees).mul_(torch.sin(angles[..., :1, :]))

    def _degrees(self, x: Tensor) -> Tensor:
        return torch.arange(1, self.degree + 1, dtype=x.dtype, device=x.device).unsqueeze(-1)

    def _angles(self, x: Tensor) -> Tensor:
        return torch.acos(torch.tanh(x)).unsqueeze(-2) * self._degrees(x)


def noisy_coefficients(
    basis: Basis, init_noise: float, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Coefficients of functions that interpolate uniform noise at the points of a basis.

    The amplitude of the noise is ``init_noise`` / (points - 1) / 2, as in efficient-kan.

    Args:
        basis: of M functions.
        init_noise: >= 0.
        shape: of the functions wanted.
        device: of the result; torch's global generator draws.

    Returns:
        (M, *shape) float32.
    """
    points = basis.points
    noise = torch.rand((len(points), *shape), device=device) - 0.5
    noise *= init_noise / max(len(points) - 1, 1)
    values = basis.values(points[:, None]).squeeze(-1)  # (P, M)
    return splines.fit_coefficients(values.T.to(device), noise)


def check_sizes(owner: str, **sizes: object) -> None:
    """Refuse sizes that are no integers >= 1, in the name of ``owner``."""
    for name, value in sizes.items():
        if not _is_size(value):
            raise ValueError(f"{owner}: {name}={value!r} must be an integer >= 1")


def check_functions(owner: str, basis: object, base: object, init_noise: object) -> None:
    """Refuse what describes no functions on an edge, in the name of ``owner``."""
    if not _is_size(getattr(basis, "size", None)):
        raise ValueError(f"{owner}: basis={basis!r} must be a basis, as BSpline()")
    if not isinstance(base, str) or base not in BASE_FUNCTIONS:
        raise ValueError(f"{owner}: base={base!r} must be one of {sorted(BASE_FUNCTIONS)}")
    if not isinstance(init_noise, Real) or not 0 <= float(init_noise) < math.inf:
        raise ValueError(f"{owner}: init_noise={init_noise!r} must be finite and >= 0")


def _is_size(value: object) -> bool:
    return type(value) is int and value >= 1
