"""Learned rational functions, shared by groups of inputs: the layer of GR-KAN.

They are no fixed basis: what is learned stands in the denominator, too. So they have layers of
their own.
"""

import math
from collections import ChainMap
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn.arguments import as_sizes
from kanlib.nn.bases import BASES
from kanlib.nn.features import as_weight
from kanlib.nn.shared import FunctionsLinear

# SiLU is x / 2 (1 + tanh(x / 2)). With the Pade approximant u (105 + 10 u^2) / (105 + 45 u^2 + u^4)
# of tanh(u) it is rational of the degrees 5 and 4. On [-3, 3] it is off by less than 0.0002.
_NUMERATOR = (0, 1 / 2, 1 / 4, 3 / 56, 1 / 168, 1 / 3360)  # of 1, x, .. x^5
_DENOMINATOR = (0, 3 / 28, 0, 1 / 1680)  # of x, .. x^4
# 1 / E[SiLU(x)^2] for x ~ N(0, 1).
_GAIN = 2.8108


@dataclass(frozen=True)
class Rational:
    """As the ``basis`` of a model: rational functions, shared by groups of inputs.

    Args:
        groups: the number >= 1 of groups, as in ``RationalLinear``.

    Raises:
        ValueError: ``groups`` is not a positive integer.

    Examples:
        >>> from kanlib import build_model, count_parameters
        >>> from kanlib.nn import Rational
        >>> model = build_model("kan-pure", (1, 8, 8), 4, basis=Rational(groups=2))
        >>> count_parameters(model)
        608
    """

    groups: int = 8

    def __post_init__(self) -> None:
        (groups,) = as_sizes("Rational", groups=self.groups)
        object.__setattr__(self, "groups", groups)


# What a model may have as its basis, by name: the fixed bases, then the rational functions.
FAMILIES: ChainMap[str, type[Any]] = ChainMap({"rational": Rational}, BASES)


class RationalActivation(nn.Module):
    """A learned rational function on each of I nodes, shared by groups of neighbours.

    F_g(x) = (a_0 + a_1 x + .. + a_5 x^5) / (1 + |b_g1 x + .. + b_g4 x^4|)

    for the nodes of group g: the numerator is shared by all, the denominator by a group, as in the
    code of the Kolmogorov-Arnold Transformer (Yang & Wang, arXiv 2409.10594). At the start each is
    SiLU, to 0.0002 on [-3, 3].

    Args:
        features: I >= 1.
        groups: the number >= 1 of groups. They differ in size by one at most. Fewer than ``groups``
            nodes are a group each.
        device: of the parameters.
        dtype: of the parameters, floating point.

    Attributes:
        numerator: (6,), a_0 .. a_5.
        denominator: (groups, 4), b_g1 .. b_g4.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib.nn import RationalActivation
        >>> layer = RationalActivation(34)
        >>> layer(torch.rand(64, 34)).shape
        torch.Size([64, 34])
        >>> layer.denominator.shape
        torch.Size([8, 4])
    """

    def __init__(
        self,
        features: int,
        groups: int = 8,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        features, groups = as_sizes(type(self).__name__, features=features, groups=groups)
        groups = min(groups, features)
        self.features = features
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        self.numerator = nn.Parameter(torch.empty(6, **kind))
        self.denominator = nn.Parameter(torch.empty(groups, 4, **kind))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """SiLU again."""
        self.numerator.copy_(torch.tensor(_NUMERATOR, device=self.numerator.device))
        self.denominator.copy_(torch.tensor(_DENOMINATOR, device=self.denominator.device))

    def forward(self, x: Tensor) -> Tensor:
        """F(x_i): (..., I) -> (..., I).

        Raises:
            ValueError: the last axis of ``x`` does not have I elements.
            TypeError: ``x`` has another dtype than the parameters.
        """
        given = as_weight(type(self).__name__, x, self.numerator)
        if x.ndim == 0 or x.shape[-1] != self.features:
            raise ValueError(
                f"{type(self).__name__}: input of shape {tuple(x.shape)} must have "
                f"features={self.features} as its last axis"
            )
        node = torch.arange(self.features, device=x.device)
        group = node * len(self.denominator) // self.features
        # Powers in bfloat16 have too few digits.
        a, b, x = (
            t if t.dtype == torch.float64 else t.float()
            for t in (self.numerator, self.denominator[group], given)
        )
        above = torch.zeros_like(x)
        for coefficient in a.flip(0):
            above = above * x + coefficient
        below = torch.zeros_like(x)
        for coefficients in b.T.flip(0):
            below = (below + coefficients) * x
        return (above / (1 + below.abs())).to(given.dtype)

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        return f"{self.features}, groups={len(self.denominator)}"


class RationalLinear(FunctionsLinear):
    """The layer of GR-KAN: rational functions of the inputs, then a dense product.

    y_o = b_o + sum_i w_oi F_g(i)(x_i), with F as in ``RationalActivation`` (Yang & Wang, arXiv
    2409.10594). All edges of an input share its function, up to a factor. So the layer has
    about as many parameters as an ``nn.Linear``, and takes its place.

    At the start the functions are SiLU, the biases 0 and the weights normal with the variance
    2.81 / I, which makes y as large as standard normal inputs.

    Args:
        in_features: I >= 1.
        out_features: O >= 1.
        groups: the number >= 1 of groups, as in ``RationalActivation``.
        device: of the parameters.
        dtype: of the parameters, floating point.

    Attributes:
        functions: the ``RationalActivation`` of the inputs.
        linear: the ``nn.Linear`` behind it.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import RationalLinear
        >>> RationalLinear(784, 34, groups=4)(torch.rand(64, 784)).shape
        torch.Size([64, 34])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        groups: int = 8,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        in_features, out_features = as_sizes(
            "RationalLinear", in_features=in_features, out_features=out_features
        )
        functions = RationalActivation(in_features, groups, **kind)
        super().__init__(in_features, functions, nn.Linear(in_features, out_features, **kind))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator, distributed as the class says."""
        self.functions.reset_parameters()
        nn.init.normal_(self.linear.weight, std=math.sqrt(_GAIN / self.in_features))
        nn.init.zeros_(self.linear.bias)
