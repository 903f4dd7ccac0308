"""The KAN layer: one linear map over a few fixed functions of each input.

A layer of learnable edge functions

    y_o = sum_i phi_oi(x_i),    phi_oi(x) = w_oi0 base(x) + sum_m w_oim f_m(x)

Is the product of the features [base(x), f_1(x), .., f_M(x)] with one weight. All of the layer's
speed is in that sentence: features in the order in which the product reads them, one product
forward, two backward.

Shapes: N inputs in a batch, I input features, O output features, M basis functions.
"""

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

from kanlib.nn.bases import Basis, BSpline, check_functions, check_sizes, noisy_coefficients
from kanlib.nn.features import EdgeFeatures, ScaledProduct, as_weight


class LayerOptions(TypedDict, total=False):
    """What describes the functions on the edges, or nodes, of a layer; see ``KANLinear``."""

    basis: Basis
    base: str
    init_noise: float


class KANLinear(nn.Module):
    """A Kolmogorov-Arnold layer, a drop-in for ``nn.Linear`` without bias.

    phi_oi(x) = w_oi0 base(x) + sum_m w_oim f_m(x) (Liu et al., arXiv 2404.19756, eq. 2.10), all
    edges as one product. The weights start with the distribution of efficient-kan: w_oi0 and a
    scale s_oi are uniform within 1/sqrt(I) (kaiming, a = sqrt(5)), and the coefficients
    interpolate, at the points of the basis, uniform noise of amplitude
    ``init_noise`` / (points - 1) / 2. Second derivatives and the transforms of ``torch.func`` raise
    an error.

    Args:
        in_features: I >= 1.
        out_features: O >= 1.
        basis: the family of functions on each edge. Default: cubic B-splines, 5 intervals on
            [-1, 1]; inputs beyond the extended grid [-2.2, 2.2] see the base function alone.
        base: "silu", "identity" or "zero" (splines alone; ``weight[:, 0]`` has no effect then).
        separate_scale: keep s_oi as a parameter of its own, ``spline_scale``, as efficient-kan and
            the paper do (arXiv 2410.02077). It adds no function, but slows the splines' training
            under Adam; the default multiplies it into the coefficients once, at the start.
        init_noise: >= 0, see above.
        device: where the parameters live.
        dtype: of the parameters: float32, float64 or bfloat16.

    Attributes:
        weight: (O, 1 + M, I); ``weight[:, 0]`` multiplies the base function.
        spline_scale: (O, I) or None. The state dict has these two alone: load it into a layer of
            the same basis and base.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        basis: Basis = BSpline(),  # noqa: B008 - frozen
        base: str = "silu",
        separate_scale: bool = False,
        init_noise: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_sizes("KANLinear", in_features=in_features, out_features=out_features)
        check_functions("KANLinear", basis, base, init_noise)
        if type(separate_scale) is not bool:
            raise ValueError(f"KANLinear: separate_scale={separate_scale!r} must be True or False")
        if dtype is not None and not dtype.is_floating_point:
            raise ValueError(f"KANLinear: dtype={dtype} must be a floating point dtype")
        self.in_features = in_features
        self.out_features = out_features
        self.basis = basis
        self.base = base
        self.init_noise = init_noise
        kind = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_features, 1 + basis.size, in_features, **kind))
        self.spline_scale: nn.Parameter | None = None
        if separate_scale:
            self.spline_scale = nn.Parameter(torch.empty(out_features, in_features, **kind))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw fresh weights from torch's global generator (see the class for the distribution)."""
        shape = (self.out_features, self.in_features)
        coefficients = noisy_coefficients(self.basis, self.init_noise, shape, self.weight.device)
        bound = 1 / math.sqrt(self.in_features)
        scale = torch.empty(shape, device=self.weight.device).uniform_(-bound, bound)
        if self.spline_scale is None:
            coefficients *= scale
        else:
            self.spline_scale.copy_(scale)
        self.weight[:, 0].uniform_(-bound, bound)
        self.weight[:, 1:] = coefficients.transpose(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O), in the dtype of the parameters, or autocast's.

        Raises:
            ValueError: the last axis of ``x`` is not ``in_features`` long.
            TypeError: ``x`` has another dtype than the parameters.
        """
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"KANLinear: input of shape {tuple(x.shape)} must have "
                f"in_features={self.in_features} as its last axis"
            )
        rows = as_weight("KANLinear", x.reshape(-1, self.in_features), self.weight)
        features: Tensor = EdgeFeatures.apply(rows, self.basis, self.base)  # (N, 1 + M, I)
        if self.spline_scale is None:
            y = nn.functional.linear(features.flatten(1), self.weight.flatten(1))
        else:
            y: Tensor = ScaledProduct.apply(features, self.weight, self.spline_scale)
        return y.view(*x.shape[:-1], self.out_features)

    def edge_functions(self, x: Tensor, outputs: slice = slice(None)) -> Tensor:
        """The terms of the layer's sum, phi_oi(x_i), one an edge.

        Args:
            x: (P, I), or (P, 1) for the same points on every edge; in the dtype of the layer.
            outputs: the output units wanted; all of them take P x O x I numbers.

        Returns:
            (P, O, I); its sum over the last axis is ``forward(x)``.

        Raises:
            ValueError: ``x`` has another shape or dtype.
        """
        if x.ndim != 2 or x.shape[1] not in (1, self.in_features) or x.dtype != self.weight.dtype:
            raise ValueError(
                f"KANLinear: x of shape {tuple(x.shape)} and {x.dtype} must be (P, "
                f"{self.in_features}) or (P, 1) and {self.weight.dtype}"
            )
        scale = None if self.spline_scale is None else self.spline_scale[outputs]
        weight = scaled_weight(self.weight[outputs], scale)
        features: Tensor = EdgeFeatures.apply(x, self.basis, self.base)  # (P, 1 + M, I or 1)
        return torch.einsum("pmi,omi->poi", features, weight)

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        return (
            f"{self.in_features}, {self.out_features}, basis={self.basis}, base={self.base!r}, "
            f"separate_scale={self.spline_scale is not None}"
        )


def scaled_weight(weight: Tensor, scale: Tensor | None) -> Tensor:
    """w_oim, the scale of the splines multiplied in; twice differentiable, unlike ScaledProduct.

    Args:
        weight: (O, 1 + M, I), as in ``KANLinear``.
        scale: (O, I), or None: ``weight`` itself is returned.

    Returns:
        (O, 1 + M, I).
    """
    if scale is None:
        return weight
    return torch.cat([weight[:, :1], weight[:, 1:] * scale.unsqueeze(1)], dim=1)
