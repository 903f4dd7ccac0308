"""The KAN layer: one linear map over a few fixed functions of each input.

The layer has a learned function on each of its edges::

    y_o = sum_i phi_oi(x_i),    phi_oi(x) = w_oi0 base(x) + sum_m w_oim f_m(x)

So its output is the product of the features [base(x), f_1(x), .., f_M(x)] with one weight. This
makes it fast: the features lie in the order in which the product reads them, and a training step
takes one product forward and two backward.

Shapes: N rows in a batch, I inputs, O outputs, M functions of the basis.
"""

import inspect
import itertools
import math
from collections.abc import Sequence
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from kanlib.nn.arguments import as_sizes, check_functions
from kanlib.nn.base_functions import BASE_FUNCTIONS
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.features import as_weight, edge_features, scaled_product, scaled_weight
from kanlib.nn.layer import BasisLayer, check_plain, check_points, noisy_coefficients
from kanlib.nn.own_grids import fits, grid_from, on_grid
from kanlib.nn.splines import with_float64

_BLOCK = 2**20  # so many values of a basis are fitted at a time


class LayerOptions(TypedDict, total=False):
    """The arguments of ``KANLinear`` that describe its learned functions."""

    basis: Basis
    base: str
    init_noise: float


class KANLinear(BasisLayer):
    """A Kolmogorov-Arnold layer. It takes the place of an ``nn.Linear`` without bias.

    phi_oi(x) = w_oi0 base(x) + sum_m w_oim f_m(x) (Liu et al., arXiv 2404.19756, eq. 2.10).

    The weights start as in efficient-kan. w_oi0 and a scale s_oi are uniform within 1/sqrt(I)
    (kaiming, a = sqrt(5)). The coefficients of f_1 .. f_M interpolate noise at the P points of the
    basis, uniform within ``init_noise`` / (P - 1) / 2, and are multiplied by s_oi.

    The layer can be differentiated as often as its functions can: splines of order k, k times. It
    works with the transforms of ``torch.func``.

    Args:
        in_features: I >= 1.
        out_features: O >= 1.
        basis: the family of functions f_1 .. f_M. Default: cubic B-splines with 5 intervals on
            [-1, 1]. They are 0 beyond [-2.2, 2.2], where an edge has only its base function left.
        base: "silu", "identity" or "zero". With "zero" an edge is a sum of the f_m alone, and
            ``weight[:, 0]`` has no effect.
        separate_scale: whether s_oi is a parameter of its own, ``spline_scale``, as in
            efficient-kan and in the paper (arXiv 2410.02077). The layer can compute no more
            functions with it, but its splines learn more slowly under Adam. The default multiplies
            s_oi into the coefficients once, at the start.
        layer_norm: whether the basis sees the inputs of a row normalised, by an ``nn.LayerNorm``
            with a gain and an offset for each input, as in FastKAN (arXiv 2405.06721). The base
            function sees them as they are. An edge then depends on the other inputs of its row,
            too. It takes at least two inputs.
        init_noise: >= 0, see above.
        device: of the parameters.
        dtype: of the parameters, floating point. With 16 bits, the functions are computed in
            float32.

    Attributes:
        weight: (O, 1 + M, I); ``weight[:, 0]`` multiplies the base function.
        spline_scale: (O, I), or None.
        norm: the layer norm, or None.
        grid: None, or what ``update_grid`` found: the range of each input, (I, 2), or its knots,
            (I, G + 2k + 1). The state dict holds these four, and names the basis and the base:
            those of the layer that it is loaded into must be the same.
        bias: None, as tools expect of a layer. A parameter (O,) that is put here is added, as
            ``kanlib.interpretability.prune`` does.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import KANLinear
        >>> layer = KANLinear(784, 34)
        >>> layer(torch.rand(64, 784)).shape
        torch.Size([64, 34])
        >>> layer.weight.shape
        torch.Size([34, 9, 784])
    """

    grid: Tensor | None
    bias: nn.Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        basis: Basis = BSpline(),  # noqa: B008 - it is frozen
        base: str = "silu",
        separate_scale: bool = False,
        layer_norm: bool = False,
        init_noise: float = 0.1,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        in_features, out_features = as_sizes(
            "KANLinear", in_features=in_features, out_features=out_features
        )
        check_functions("KANLinear", basis, base, dtype)
        if layer_norm and in_features == 1:
            raise ValueError(f"KANLinear: in_features={in_features} must be >= 2 with a layer norm")
        self.in_features = in_features
        self.out_features = out_features
        self._basis = basis
        self.base = base
        self.register_buffer("grid", None)
        self.init_noise = init_noise
        kind = {"device": device, "dtype": dtype}
        self.weight = nn.Parameter(torch.empty(out_features, 1 + basis.size, in_features, **kind))
        self.spline_scale: nn.Parameter | None = None
        if separate_scale:
            self.spline_scale = nn.Parameter(torch.empty(out_features, in_features, **kind))
        self.norm = nn.LayerNorm(in_features, **kind) if layer_norm else None
        self.register_parameter("bias", None)
        self.reset_parameters()

    @BasisLayer.basis.getter
    def basis(self) -> Basis:
        """The family of functions, on the layer's ``grid`` if it has one."""
        return on_grid(self._basis, self.grid)

    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator, distributed as the class says.

        Raises:
            TypeError: the layer is pruned, or has a weight norm or another parametrization.
        """
        draw_edges(self, self._basis, self.init_noise)
        if self.norm is not None:
            self.norm.reset_parameters()

    def forward(self, x: Tensor) -> Tensor:
        """(..., I) -> (..., O), in the dtype of the parameters or, under autocast, in its dtype.

        NaN in a row of ``x`` makes all of its outputs NaN. Infinite numbers may do so, too.

        Raises:
            ValueError: the last axis of ``x`` does not have ``in_features`` elements.
            TypeError: ``x`` has another dtype than the parameters.
        """
        x = as_weight("KANLinear", x, self.weight)
        if x.ndim == 0 or x.shape[-1] != self.in_features:
            raise ValueError(
                f"KANLinear: input of shape {tuple(x.shape)} must have "
                f"in_features={self.in_features} as its last axis"
            )
        features = self.features(x.reshape(-1, self.in_features))
        if self.spline_scale is None:
            y = nn.functional.linear(features.flatten(1), self.weight.flatten(1), self.bias)
        else:
            y = scaled_product(features, self.weight, self.spline_scale)
            y = y if self.bias is None else y + self.bias
        return y.view(*x.shape[:-1], self.out_features)

    def features(self, x: Tensor) -> Tensor:
        """[base(x), f_1(x), .., f_M(x)], the f_m of normalised inputs if so asked.

        Args:
            x: (N, I) in the dtype of the layer; (N, 1) is not normalised.

        Returns:
            (N, 1 + M, I or 1).
        """
        if self.norm is None or x.shape[1] == 1:
            return edge_features(x, self.basis, self.base)
        functions = edge_features(self.norm(x).to(x.dtype), self.basis, "zero")
        return torch.cat([BASE_FUNCTIONS[self.base].value(x).unsqueeze(1), functions[:, 1:]], dim=1)

    def edge_functions(self, x: Tensor, outputs: slice = slice(None)) -> Tensor:
        """The learned functions phi_oi(x_i), one for each edge.

        Args:
            x: (P, I), or (P, 1) for the same points on every edge; in the dtype of the layer. A
                layer norm leaves points (P, 1) as they are: no row is there to be normalised.
            outputs: which of the O outputs. All of them take P x O x I numbers.

        Returns:
            (P, O, I). For x of (P, I) its sum over the last axis is ``forward(x)``, but for a bias.

        Raises:
            ValueError: ``x`` has another shape or dtype.
        """
        check_points(self, x, self.in_features, self.weight.dtype)
        scale = None if self.spline_scale is None else self.spline_scale[outputs]
        weight = scaled_weight(self.weight[outputs], scale)
        if self.grid is not None:
            x = x.expand(-1, self.in_features)
        return torch.einsum("pmi,omi->poi", self.features(x), weight)

    @torch.no_grad()
    def update_grid(self, x: Tensor, grid_eps: float = 1.0, margin: float = 0.01) -> None:
        """Give each input a grid of its own that follows its values, in place.

        The coefficients are fitted anew by least squares: at ``x`` the functions change as little
        as the new grid allows. Start LBFGS anew then: what it remembers belongs to the old ones.

        With ``grid_eps`` = 1 each input has its own range. With less its B-splines have knots of
        their own, which lie where the values are; they are computed by recursion, and slower. 0.02
        is the rule of efficient-kan.

        Args:
            x: (..., I), finite, in any floating point dtype; at least one row. Some thousand rows
                are enough.
            grid_eps: the share of uniform knots, 0 to 1; the rest are quantiles.
            margin: > 0, how far uniform knots reach beyond the values. More, if the dtype of the
                layer could not tell the knots apart.

        Raises:
            TypeError: the layer is pruned, or has a weight norm or another parametrization.
            ValueError: an argument is out of range, the basis has no such grid, or the layer has a
                layer norm.
        """
        check_plain("update_grid", self)
        if self.norm is not None:  # it puts all inputs on one scale already
            raise ValueError(f"update_grid: layer={self!r} must have no layer norm")
        if not 0 <= grid_eps <= 1:
            raise ValueError(f"update_grid: grid_eps={grid_eps!r} must be between 0 and 1")
        if not 0 < margin < math.inf:
            raise ValueError(f"update_grid: margin={margin!r} must be a finite number > 0")
        if x.ndim == 0 or x.shape[-1] != self.in_features or not x.numel():
            raise ValueError(
                f"update_grid: x of shape {tuple(x.shape)} must be (..., {self.in_features}), with "
                "at least one row"
            )
        if not x.isfinite().all():
            raise ValueError(f"update_grid: x of shape {tuple(x.shape)} must be finite")
        place = with_float64(self.weight.device)
        rows = x.reshape(-1, self.in_features).to(place).double()
        eps = torch.finfo(self.weight.dtype).eps
        grid = grid_from(rows, self._basis, grid_eps, margin, eps).to(self.weight.dtype)
        grids = None if self.grid is None else self.grid.to(place), grid
        step = max(1, _BLOCK // (len(rows) * self._basis.size))
        for start in range(0, self.in_features, step):
            block = slice(start, start + step)
            old, new = (
                on_grid(self._basis, part if part is None else part[block])
                .values(rows[:, block])
                .permute(2, 0, 1)  # (inputs of the block, N, M)
                for part in grids
            )
            change = torch.linalg.pinv(new) @ old  # each old function in terms of the new ones
            coefficients = self.weight[:, 1:, block]
            moved = torch.einsum("imn,oni->omi", change, coefficients.to(place).double())
            coefficients.copy_(moved.to(coefficients.dtype))
        self.grid = grid.to(self.weight.device)

    def _load_from_state_dict(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        """Take the grid of the state, or none if it has weights without one; also take a bias."""
        errors, before, own = arguments[-1], len(arguments[-1]), (self.grid, self.bias)
        if f"{prefix}bias" in state_dict and self.bias is None:  # as of a pruned layer
            self.bias = nn.Parameter(self.weight.new_zeros(self.out_features))
        grid = state_dict.get(f"{prefix}grid")
        if grid is not None:
            self.grid = grid.to(self.weight, copy=True)
        elif f"{prefix}weight" in state_dict:
            self.grid = None
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        if self.grid is not None and not fits(self.grid, self._basis, self.in_features):
            shape = tuple(self.grid.shape)
            errors.append(f"{prefix}grid of shape {shape} must fit the layer {self!r}")
        if len(errors) > before:
            self.grid, self.bias = own

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        return (
            f"{self.in_features}, {self.out_features}, basis={self.basis}, base={self.base!r}, "
            f"separate_scale={self.spline_scale is not None}, layer_norm={self.norm is not None}"
        )


@torch.no_grad()
def draw_edges(layer: Any, basis: Basis, init_noise: float) -> None:
    """Draw the weights of edges anew, as ``KANLinear`` says.

    Args:
        layer: with ``weight`` (O, 1 + M, I), and ``spline_scale`` (O, I) or None.
        basis: of M functions.
        init_noise: >= 0.

    Raises:
        TypeError: the layer is pruned, or has a weight norm or another parametrization.
    """
    check_plain("reset_parameters", layer)
    weight, scale = layer.weight, layer.spline_scale
    shape = len(weight), weight.shape[2]
    coefficients = noisy_coefficients(basis, init_noise, shape, weight.device)
    bound = 1 / math.sqrt(weight.shape[2])
    drawn = torch.empty(shape, device=weight.device).uniform_(-bound, bound)
    if scale is None:
        coefficients *= drawn
    else:
        scale.copy_(drawn)
    weight[:, 0].uniform_(-bound, bound)
    weight[:, 1:] = coefficients.transpose(0, 1)


def KAN(widths: Sequence[int], **options: Any) -> nn.Sequential:
    """A network of KAN layers, one from each width to the next.

    Args:
        widths: at least two, of inputs, hidden nodes and outputs; ``[784, 64, 10]``.
        options: of ``KANLinear``, the same for each layer.

    Raises:
        TypeError: ``KANLinear`` has no such option.
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import KAN
        >>> KAN([784, 64, 10])(torch.rand(5, 784)).shape
        torch.Size([5, 10])
    """
    if not hasattr(widths, "__len__") or len(widths) < 2:
        raise ValueError(f"KAN: widths={widths!r} must be a sequence of at least two")
    known = list(inspect.signature(KANLinear).parameters)[2:]
    if wrong := [name for name in options if name not in known]:
        raise TypeError(
            f"KAN: {wrong[0]}={options[wrong[0]]!r} is not one of {', '.join(known)}; what a basis "
            "takes goes into it, as in basis=BSpline(grid_size=5)"
        )
    return nn.Sequential(*(KANLinear(*pair, **options) for pair in itertools.pairwise(widths)))
