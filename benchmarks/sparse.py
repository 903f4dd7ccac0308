"""The KAN layer from its non-zero B-splines alone: k + 1 of G + k for each input.

A B-spline of order k is not zero on k + 1 intervals only, so the dense product multiplies by many
zeros once G is large. Here an input picks its k + 1 rows of the coefficients and adds them up,
weighted by the B-splines' values (``embedding_bag``): less arithmetic, but rows from all over the
memory instead of a dense product. ``plans.growth`` measures where that starts to pay.

Shapes: N inputs in a batch, I input features, O output features, M = G + k basis functions.
"""

import math

import torch
from torch import Tensor, nn


class SparseKANLinear(nn.Module):
    """The folded layer on the grid [-1, 1]; same function as ``kanlib.KANLinear``.

    Attributes:
        base_weight: (O, I).
        coefficients: (I, M, O), a row for each B-spline of each input.
    """

    def __init__(
        self, in_features: int, out_features: int, grid_size: int = 5, spline_order: int = 3
    ) -> None:
        super().__init__()
        self.grid_size, self.order = grid_size, spline_order
        bound = 1 / math.sqrt(in_features)
        base = torch.empty(out_features, in_features).uniform_(-bound, bound)
        shape = (in_features, grid_size + spline_order, out_features)
        noise = 0.05 / grid_size * bound
        self.base_weight = nn.Parameter(base)
        self.coefficients = nn.Parameter(torch.empty(shape).uniform_(-noise, noise))

    def local_basis(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Numbers j and values B_j(x) of the k + 1 B-splines at ``x`` (N, I): twice (N, I, k + 1).

        The B-splines at and beyond the ends of the extended grid are given as 0 times the nearest.
        """
        z = (x + 1) * (self.grid_size / 2)  # in grid intervals, from the grid's lower end
        interval = z.detach().floor()
        u = z - interval  # (N, I), in [0, 1)
        # Bumps on integer knots: bump_d(t) = (t bump_{d-1}(t) + (d+1-t) bump_{d-1}(t-1)) / d,
        # at t = u, u + 1, .., u + d, where alone it is not zero.
        bumps = [torch.ones_like(u)]
        for d in range(1, self.order + 1):
            rising = [(u + s) * bump / d for s, bump in enumerate(bumps)]
            falling = [(d - u - s) * bump / d for s, bump in enumerate(bumps)]
            middle = [a + b for a, b in zip(rising[1:], falling, strict=False)]
            bumps = [rising[0], *middle, falling[-1]]
        values = torch.stack(bumps[::-1], dim=-1)  # (N, I, k + 1), in the order of j
        j = interval.unsqueeze(-1) + torch.arange(self.order + 1, device=x.device)
        inside = (j >= 0) & (j < self.grid_size + self.order)
        return torch.where(inside, j, 0).long(), torch.where(inside, values, 0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        inputs, size, _ = self.coefficients.shape
        j, values = self.local_basis(x)
        rows = j + size * torch.arange(inputs, device=x.device).unsqueeze(-1)  # (N, I, k + 1)
        splines = nn.functional.embedding_bag(
            rows.flatten(1),
            self.coefficients.flatten(0, 1),  # (I * M, O)
            per_sample_weights=values.flatten(1),
            mode="sum",
        )
        return nn.functional.linear(nn.functional.silu(x), self.base_weight) + splines
