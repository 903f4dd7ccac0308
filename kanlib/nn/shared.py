"""Learned functions that all outputs share: one idea from the MLP to the KAN.

A layer computes R functions of each input, and one linear map of what they give::

    y_o = b_o + sum_i sum_r w_ori f_ir(x_i),    f_ir(x) = c_ir0 base(x) + sum_m c_irm B_m(x)

R says how many functions the edges of an input share. One fixed function is an MLP. One learned
function is an MLP with splines on its nodes (Yu et al., arXiv 2407.16674). With all of base, B_1 ..
B_M as fixed functions, each edge has its own sum of them: that is ``KANLinear``.

Shapes: N rows in a batch, I inputs, O outputs, M functions of the basis.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn.arguments import as_integer, as_sizes, check_functions
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.features import as_weight, shared_sums
from kanlib.nn.layer import BasisLayer, check_plain, check_points, noisy_coefficients


class SharedFunctions(BasisLayer):
    """R learned functions of each of I inputs, without a product: an activation that learns.

    f_ir(x) = c_ir0 base(x) + sum_m c_irm B_m(x). At the start c_ir0 is 1, and the others are
    noise, drawn as in ``KANLinear``: each function is the base function and a little more.

    For convolutions the inputs are channels, whose functions all positions share::

        nn.Sequential(SharedFunctions(16, axis=-3), nn.Conv2d(16, 32, 3))

    Args:
        features: the number I >= 1 of inputs.
        functions: the number R >= 1 of functions an input.
        basis: the family of functions B_1 .. B_M. Default: as in ``KANLinear``.
        base: "silu", "identity" or "zero".
        init_noise: >= 0, as in ``KANLinear``.
        axis: of the inputs, below 0: -1 for rows, -3 for images.
        tied: all inputs have the same R functions.
        device: of the parameters.
        dtype: of the parameters, floating point.

    Attributes:
        weight: (1 + M, R I), or (1 + M, R) if tied; ``weight[0]`` multiplies the base function. The
            second axis runs over functions, then over inputs.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib.nn import SharedFunctions
        >>> SharedFunctions(16, axis=-3)(torch.rand(8, 16, 5, 5)).shape
        torch.Size([8, 16, 5, 5])
    """

    def __init__(
        self,
        features: int,
        functions: int = 1,
        *,
        basis: Basis = BSpline(),  # noqa: B008 - it is frozen
        base: str = "silu",
        init_noise: float = 0.1,
        axis: int = -1,
        tied: bool = False,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        owner = type(self).__name__
        features, functions = as_sizes(owner, features=features, functions=functions)
        check_functions(owner, basis, base, dtype)
        below = as_integer(axis, -math.inf)
        if below is None or below >= 0:
            raise ValueError(f"{owner}: axis={axis!r} must be an integer below 0")
        if type(tied) is not bool:
            raise ValueError(f"{owner}: tied={tied!r} must be True or False")
        self.features = features
        self.functions = functions
        self.basis = basis
        self.base = base
        self.init_noise = init_noise
        self.axis = below
        self.tied = tied
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        columns = functions if self.tied else functions * features
        self.weight = nn.Parameter(torch.empty(1 + basis.size, columns, **kind))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """The base function again, and new noise from torch's global generator.

        Raises:
            TypeError: the layer is pruned, or has a weight norm or another parametrization.
        """
        check_plain("reset_parameters", self)
        width = (self.weight.shape[1],)
        self.weight[0] = 1
        self.weight[1:] = noisy_coefficients(self.basis, self.init_noise, width, self.weight.device)

    def forward(self, x: Tensor) -> Tensor:
        """f_ir(x_i): (..., I) -> (..., R I), or likewise along ``axis``.

        Raises:
            ValueError: ``x`` does not have I elements along the axis.
            TypeError: ``x`` has another dtype than the parameters.
        """
        x = as_weight(type(self).__name__, x, self.weight)
        if x.ndim < -self.axis or x.shape[self.axis] != self.features:
            raise ValueError(
                f"{type(self).__name__}: input of shape {tuple(x.shape)} must have "
                f"features={self.features} along its axis {self.axis}"
            )
        last = x.movedim(self.axis, -1)
        weight = self.weight.unflatten(1, (self.functions, -1)).expand(-1, -1, self.features)
        rows = last.reshape(-1, self.features)
        y = shared_sums(rows, weight, self.basis, self.base)  # (N, R, I)
        return y.reshape(*last.shape[:-1], self.functions * self.features).movedim(-1, self.axis)

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        changed = "" if self.axis == -1 else f", axis={self.axis}"
        changed += ", tied=True" if self.tied else ""
        return (
            f"{self.features}, functions={self.functions}, basis={self.basis}, "
            f"base={self.base!r}{changed}"
        )


class FunctionsLinear(nn.Module):
    """Functions of each of I inputs, R of them, then a dense product.

    Args:
        in_features: I >= 1.
        functions: (..., I) -> (..., R I).
        linear: (..., R I) -> (..., O).
    """

    functions: Any  # a module, with reset_parameters

    def __init__(self, in_features: int, functions: nn.Module, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = linear.out_features
        self.functions = functions
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O), in the dtype of the parameters or, under autocast, in its dtype.

        Raises:
            ValueError: the last axis of ``x`` does not have ``in_features`` elements.
            TypeError: ``x`` has another dtype than the parameters.
        """
        return self.linear(self.functions(x))

    def edge_functions(self, x: Tensor, outputs: slice = slice(None)) -> Tensor:
        """The functions sum_r w_ori f_ir(x_i), one for each edge.

        Args:
            x: (P, I), or (P, 1) for the same points on every edge; in the dtype of the layer.
            outputs: which of the O outputs. All of them take P x O x I numbers.

        Returns:
            (P, O, I). Its sum over the last axis, and the bias, are ``forward(x)``.

        Raises:
            ValueError: ``x`` has another shape or dtype.
        """
        check_points(self, x, self.in_features, self.linear.weight.dtype)
        made = self.functions(x.expand(-1, self.in_features)).unflatten(1, (-1, self.in_features))
        weight = self.linear.weight[outputs].unflatten(1, made.shape[1:])  # (O, R, I)
        return torch.einsum("pri,ori->poi", made, weight)


class SharedLinear(FunctionsLinear):
    """R learned functions of each input, then a dense product. It takes the place of ``nn.Linear``.

    y_o = b_o + sum_i sum_r w_ori f_ir(x_i), with f as in ``SharedFunctions``. There are
    I R (1 + M) + O R I + O parameters. Functions start as there, the rest as in ``nn.Linear``.

    With R = 1 + M and f_i1 .. f_iR fixed to base, B_1 .. B_M, it computes what ``KANLinear`` does:
    make ``functions.weight`` the identity for each input, and freeze it.

    Args:
        in_features: I >= 1.
        out_features: O >= 1.
        functions: the number R >= 1 of functions an input.
        basis: as of ``SharedFunctions``, as the two that follow.
        base: "silu", "identity" or "zero".
        init_noise: >= 0.
        device: of the parameters.
        dtype: of the parameters, floating point.

    Attributes:
        functions: the ``SharedFunctions`` of the inputs.
        linear: the ``nn.Linear`` behind them, with the weight (O, R I).

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import SharedLinear
        >>> SharedLinear(784, 34, functions=2)(torch.rand(64, 784)).shape
        torch.Size([64, 34])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        functions: int = 1,
        *,
        basis: Basis = BSpline(),  # noqa: B008 - it is frozen
        base: str = "silu",
        init_noise: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        owner = type(self).__name__
        in_features, out_features, functions = as_sizes(
            owner, in_features=in_features, out_features=out_features, functions=functions
        )
        kind: dict[str, Any] = {"device": device, "dtype": dtype}
        super().__init__(
            in_features,
            SharedFunctions(
                in_features, functions, basis=basis, base=base, init_noise=init_noise, **kind
            ),
            nn.Linear(functions * in_features, out_features, **kind),
        )

    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator, distributed as the class says."""
        self.functions.reset_parameters()
        self.linear.reset_parameters()
