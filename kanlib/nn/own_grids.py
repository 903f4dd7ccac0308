"""Bases on a grid of its own for each input, as ``KANLinear.update_grid`` puts them there.

A layer makes them from its basis and its buffer ``grid``. They depend on the data, so they are no
settings, and not in ``BASES``. Shapes: I inputs, M functions, G intervals, splines of degree k.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from kanlib.nn import splines
from kanlib.nn.bases import Basis, BSpline


@dataclass(frozen=True, eq=False)
class OwnRange:
    """A basis whose grid has its own range for each input: an affine map, then the basis.

    Args:
        basis: with a ``grid_range``, such as ``BSpline`` or ``GaussianRBF``.
        ends: (I, 2), what the map takes to the ends of ``basis.grid_range``.

    Examples:
        >>> import torch
        >>> from kanlib import KANLinear
        >>> layer = KANLinear(2, 1)
        >>> layer.update_grid(torch.tensor([[0.0, 5.0], [1.0, 9.0]]))
        >>> layer.basis
        OwnRange(basis=BSpline(grid_size=5, spline_order=3, grid_range=(-1.0, 1.0)))
        >>> layer.basis.ends
        tensor([[-0.0100,  1.0100],
                [ 4.9900,  9.0100]])
    """

    basis: Any
    ends: Tensor = field(repr=False)

    @property
    def size(self) -> int:
        """M."""
        return self.basis.size

    @property
    def points(self) -> Tensor:
        """The points of ``basis``."""
        return self.basis.points

    @property
    def grid_range(self) -> tuple[Tensor, ...]:
        """The ends of the grid of each input: two of (I,)."""
        return self.ends.unbind(1)

    @property
    def support(self) -> tuple[Tensor, ...]:
        """Beyond these, two of (I,), all functions are 0; for B-splines alone."""
        return self.outer(self.basis.support).unbind(1)

    def outer(self, ends: tuple[float, float]) -> Tensor:
        """What the map takes to these two places: (I, 2)."""
        (first, last), (low, high) = self.basis.grid_range, self.ends.T
        shares = [(end - first) / (last - first) for end in ends]
        return torch.stack([low + share * (high - low) for share in shares], dim=1)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """f_m(x): (..., I) -> (..., M, I)."""
        return self.basis.values(self._mapped(x)[0], out)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """d^n f_m/dx^n, n = ``order``: (..., I) -> (..., M, I)."""
        inner, factor = self._mapped(x)
        return self.basis.slopes(inner, order) * factor**order

    def _mapped(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The coordinates of ``x`` in ``basis``, and their derivative (I,)."""
        (first, last), (low, high) = self.basis.grid_range, self.ends.to(x).T
        factor = torch.where(high > low, (last - first) / (high - low), 0)
        return first + (x - low) * factor, factor


@dataclass(frozen=True, eq=False)
class OwnKnots:
    """B-splines on knots of its own for each input, by recursion: slower than ``OwnRange``.

    Args:
        basis: its grid size and order hold.
        knots: (I, G + 2k + 1), ascending.

    Examples:
        >>> import torch
        >>> from kanlib import KANLinear
        >>> layer = KANLinear(2, 1)
        >>> layer.update_grid(torch.rand(100, 2), grid_eps=0.02)
        >>> layer.basis
        OwnKnots(basis=BSpline(grid_size=5, spline_order=3, grid_range=(-1.0, 1.0)))
        >>> layer.basis.knots.shape
        torch.Size([2, 12])
    """

    basis: BSpline
    knots: Tensor = field(repr=False)

    @property
    def size(self) -> int:
        """M = G + k."""
        return self.basis.size

    @property
    def points(self) -> Tensor:
        """The points of ``basis``."""
        return self.basis.points

    @property
    def grid_range(self) -> tuple[Tensor, Tensor]:
        """The ends of the grid of each input: two of (I,)."""
        order = self.basis.spline_order
        return self.knots[:, order], self.knots[:, -1 - order]

    @property
    def support(self) -> tuple[Tensor, Tensor]:
        """Beyond these, two of (I,), all functions are 0."""
        return self.knots[:, 0], self.knots[:, -1]

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        """B_m(x): (..., I) -> (..., M, I)."""
        values = splines.knot_basis(x, self.knots, self.basis.spline_order)
        return values if out is None else out.copy_(values)

    def slopes(self, x: Tensor, order: int = 1) -> Tensor:
        """d^n B_m/dx^n, n = ``order``, up to k: (..., I) -> (..., M, I)."""
        return splines.knot_slope(x, self.knots, self.basis.spline_order, order)


def on_grid(basis: Basis, grid: Tensor | None) -> Basis:
    """``basis`` on the grid of a layer.

    Args:
        basis: of the layer.
        grid: None, ends (I, 2) of the range of each input, or knots (I, G + 2k + 1).
    """
    if grid is None:
        return basis
    if grid.shape[1] == 2:
        return OwnRange(basis, grid)
    assert isinstance(basis, BSpline)
    return OwnKnots(basis, grid)


def takes_grid(basis: object, grid_eps: float) -> bool:
    """Whether ``grid_from`` has a grid for such a basis: ranges for any grid, knots for splines."""
    return isinstance(basis, BSpline) or (grid_eps == 1 and hasattr(basis, "grid_range"))


def fits(grid: Tensor, basis: object, inputs: int) -> bool:
    """Whether ``on_grid`` can put a basis of so many inputs on the grid."""
    knots = isinstance(basis, BSpline) and basis.size + basis.spline_order + 1
    return grid.shape == (inputs, 2) or (bool(knots) and grid.shape == (inputs, knots))


def grid_from(x: Tensor, basis: Basis, grid_eps: float, margin: float, eps: float) -> Tensor:
    """The grid for ``on_grid`` that follows the values of each input.

    Args:
        x: (N, I) float64, N >= 1.
        basis: of the layer.
        grid_eps: 1 for ranges, less for knots.
        margin: how far the grid reaches beyond the values, at least.
        eps: of the dtype that the grid is rounded to. It must not round intervals away.

    Raises:
        ValueError: the basis has no grid, or ``grid_eps`` < 1 and it has no knots.
    """
    if not takes_grid(basis, grid_eps):
        needed = "a basis with a grid_range" if grid_eps == 1 else "a BSpline"
        raise ValueError(f"update_grid: basis={basis} must be {needed} with grid_eps={grid_eps!r}")
    low, high = x.amin(0), x.amax(0)
    reach = (4 * eps * basis.size * torch.maximum(-low, high)).clamp(min=margin)  # (I,)
    if grid_eps == 1:
        return torch.stack([low - reach, high + reach], dim=1)
    assert isinstance(basis, BSpline)
    return splines.data_knots(x, basis.grid_size, basis.spline_order, grid_eps, reach)
