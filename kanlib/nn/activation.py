"""A learned function on each node of a network, in the place of ReLU."""

import torch
from torch import Tensor, nn

from kanlib.nn.bases import Basis, BSpline, check_functions, check_sizes, noisy_coefficients
from kanlib.nn.features import EdgeFeatures, as_weight


class SplineActivation(nn.Module):
    """A learned function on each of I nodes, to be used in place of ReLU in an MLP.

    y_i = w_i0 base(x_i) + sum_m w_im f_m(x_i). A KAN has such functions on its edges. An MLP with
    them on its nodes is the rival to which Yu et al. compare KANs (arXiv 2407.16674). At the start
    w_i0 is 1, and the other weights are noise, drawn as in ``KANLinear``.

    Args:
        features: the number I >= 1 of nodes.
        basis: the family of functions f_1 .. f_M. Default: as in ``KANLinear``.
        base: "silu", "identity" or "zero".
        init_noise: >= 0, as in ``KANLinear``.

    Attributes:
        weight: (1 + M, I); ``weight[0]`` multiplies the base function.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self,
        features: int,
        *,
        basis: Basis = BSpline(),  # noqa: B008 - it is frozen
        base: str = "silu",
        init_noise: float = 0.1,
    ) -> None:
        super().__init__()
        check_sizes("SplineActivation", features=features)
        check_functions("SplineActivation", basis, base)
        self.basis = basis
        self.base = base
        noise = noisy_coefficients(basis, init_noise, (features,), torch.get_default_device())
        self.weight = nn.Parameter(torch.cat([torch.ones(1, features), noise]))

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, I).

        Raises:
            ValueError: ``x`` has another shape.
            TypeError: ``x`` has another dtype than the parameters.
        """
        if x.ndim != 2 or x.shape[1] != self.weight.shape[1]:
            raise ValueError(
                f"SplineActivation: input of shape {tuple(x.shape)} must be (N, "
                f"{self.weight.shape[1]})"
            )
        x = as_weight("SplineActivation", x, self.weight)
        features: Tensor = EdgeFeatures.apply(x, self.basis, self.base)  # (N, 1 + M, I)
        return (features * self.weight).sum(1)

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        return f"{self.weight.shape[1]}, basis={self.basis}, base={self.base!r}"
