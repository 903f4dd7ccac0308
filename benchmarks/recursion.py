"""The KAN layer as efficient-kan computes it: the yardstick for exactness and for speed.

Our own code for its formula (Cox-de Boor recursion, two products, a separate scale), with its
parameter names, so that ``kanlib.from_efficient_kan`` reads its ``state_dict``.
"""

import math

import torch
from torch import Tensor, nn


class RecursiveKANLinear(nn.Module):
    """y = SiLU(x) Wb^T + sum_i sum_m s_oi c_oim B_m(x_i), differentiated by autograd alone."""

    grid: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        grid_size: int = 5,
        spline_order: int = 3,
        separate_scale: bool = True,
    ) -> None:
        super().__init__()
        self.order = spline_order
        step = 2 / grid_size
        knots = torch.arange(-spline_order, grid_size + spline_order + 1) * step - 1
        self.register_buffer("grid", knots.repeat(in_features, 1))  # (I, G + 2k + 1)
        bound = 1 / math.sqrt(in_features)
        shape = (out_features, in_features)
        self.base_weight = nn.Parameter(torch.empty(shape).uniform_(-bound, bound))
        noise = 0.05 / grid_size
        size = grid_size + spline_order
        self.spline_weight = nn.Parameter(torch.empty(*shape, size).uniform_(-noise, noise))
        self.spline_scaler = (
            nn.Parameter(torch.empty(shape).uniform_(-bound, bound)) if separate_scale else None
        )

    def basis(self, x: Tensor) -> Tensor:
        """Cox-de Boor: (N, I) -> (N, I, G + k)."""
        x, t = x.unsqueeze(-1), self.grid
        value = ((x >= t[:, :-1]) & (x < t[:, 1:])).to(x.dtype)  # order 0
        for k in range(1, self.order + 1):
            rise = (x - t[:, : -k - 1]) / (t[:, k:-1] - t[:, : -k - 1])
            fall = (t[:, k + 1 :] - x) / (t[:, k + 1 :] - t[:, 1:-k])
            value = rise * value[..., :-1] + fall * value[..., 1:]
        return value

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        weight = self.spline_weight
        if self.spline_scaler is not None:
            weight = weight * self.spline_scaler.unsqueeze(-1)
        base = nn.functional.linear(nn.functional.silu(x), self.base_weight)
        return base + nn.functional.linear(self.basis(x).flatten(1), weight.flatten(1))
