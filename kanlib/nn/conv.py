"""Convolutions with a learned function on each edge of the kernel.

The sum over a window runs over functions of its pixels, in the place of multiples::

    y_o(p) = sum_c sum_k phi_ock(x_c(s p + d k)),    phi_ock as in ``KANLinear``

for the offsets k of the kernel, the stride s and the dilation d. So a layer computes what a
``KANLinear`` does with each window that ``unfold`` cuts out. It takes the features of each pixel
once, as channels, and then one convolution of torch.

Shapes: N images of C channels, O outputs, K offsets, g groups, M functions of the basis.
"""

import math
from collections.abc import Sequence
from typing import Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from kanlib.nn.arguments import as_integer, as_sizes
from kanlib.nn.features import as_weight, edge_features, scaled_weight
from kanlib.nn.layer import BasisLayer, check_points
from kanlib.nn.linear import KANLinear, LayerOptions, draw_edges

Sizes = int | Sequence[int]  # of each axis


class EdgeOptions(LayerOptions, total=False):
    """The arguments that ``KANLinear`` and the convolutions share."""

    separate_scale: bool
    device: torch.device | str | None
    dtype: torch.dtype | None


class KANConv(BasisLayer):
    """What the convolutions have in common: they run over ``axes`` axes."""

    axes: int
    bias: nn.Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes | str = 0,
        dilation: Sizes = 1,
        groups: int = 1,
        **options: Unpack[EdgeOptions],
    ) -> None:
        owner = type(self).__name__
        in_channels, out_channels, groups = as_sizes(
            owner, in_channels=in_channels, out_channels=out_channels, groups=groups
        )
        if in_channels % groups or out_channels % groups:
            raise ValueError(
                f"{owner}: groups={groups} must divide in_channels={in_channels} and "
                f"out_channels={out_channels}"
            )
        kernel = self._each("kernel_size", kernel_size, least=1)
        super().__init__()
        known = EdgeOptions.__optional_keys__
        if unknown := options.keys() - known:
            raise ValueError(f"{owner}: {sorted(unknown)} must be among {sorted(known)}")
        edges = KANLinear(in_channels // groups * math.prod(kernel), out_channels, **options)
        self.weight, self.spline_scale = edges.weight, edges.spline_scale
        self.register_parameter("bias", None)
        self.basis, self.base, self.init_noise = edges.basis, edges.base, edges.init_noise
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel
        self.stride = self._each("stride", stride, least=1)
        self.dilation = self._each("dilation", dilation, least=1)
        self.groups = groups
        if padding == "same":
            if set(self.stride) != {1}:
                raise ValueError(f"{owner}: padding='same' must not have stride={stride!r}, but 1")
            reach = [d * (k - 1) for d, k in zip(self.dilation, kernel, strict=True)]
            self.padding = tuple((all_ // 2, all_ - all_ // 2) for all_ in reach)
        else:
            padding = 0 if padding == "valid" else padding
            self.padding = tuple((n, n) for n in self._each("padding", padding, least=0))

    def reset_parameters(self) -> None:
        """Draw new weights from torch's global generator, distributed as the class says.

        Raises:
            TypeError: the layer is pruned, or has a weight norm or another parametrization.
        """
        draw_edges(self, self.basis, self.init_noise)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, ...) or one (C, ...), in the dtype of the parameters -> (N, O, ...).

        What is returned has the memory format of ``x``.

        Raises:
            ValueError: ``x`` has another number of axes or channels.
            TypeError: ``x`` has another dtype than the parameters.
        """
        x = self._checked(x)
        padded = functional.pad(x, [n for ends in reversed(self.padding) for n in ends])
        convolve = functional.conv1d if self.axes == 1 else functional.conv2d
        y = convolve(
            self._features(padded),
            self._kernel().flatten(1, 2),
            self.bias,
            stride=self.stride,
            dilation=self.dilation,
            groups=self.groups,
        )
        return _as_laid_out(y, x)

    def edge_functions(self, x: Tensor) -> Tensor:
        """The learned functions phi_ock(x_c), one for each edge of the kernel.

        Args:
            x: (P, C), or (P, 1) for the same points on every edge; in the dtype of the layer.

        Returns:
            (P, O, C K / g). The last axis is that of ``weight``: an output has the edges of the
            channels that its group sees.

        Raises:
            ValueError: ``x`` has another shape or dtype.
        """
        check_points(self, x, self.in_channels, self.weight.dtype)
        rows = x.expand(-1, self.in_channels).reshape(-1, self.in_channels // self.groups)
        features = edge_features(rows, self.basis, self.base).unflatten(0, (-1, self.groups))
        kernel = self._kernel().flatten(3).unflatten(0, (self.groups, -1))
        return torch.einsum("pgmc,gomck->pgock", features, kernel).flatten(3).flatten(1, 2)

    def _features(self, x: Tensor) -> Tensor:
        """(..., C, *sizes) -> (..., g (1 + M) C / g, *sizes), with the channels last in memory."""
        last = x.movedim(-1 - self.axes, -1)  # (..., *sizes, C)
        rows = last.reshape(-1, self.in_channels // self.groups)
        features = edge_features(rows, self.basis, self.base)  # (rows, 1 + M, C / g)
        channels = self.in_channels * features.shape[1]
        return features.view(*last.shape[:-1], channels).movedim(-1, -1 - self.axes)

    def _kernel(self) -> Tensor:
        """The weight as (O, 1 + M, C / g, *kernel_size), with its scale multiplied in."""
        weight = scaled_weight(self.weight, self.spline_scale)
        return weight.unflatten(2, (self.in_channels // self.groups, *self.kernel_size))

    def _checked(self, x: Tensor) -> Tensor:
        """``x`` in the dtype of the weight."""
        x = as_weight(type(self).__name__, x, self.weight)
        if x.ndim - self.axes not in (1, 2) or x.shape[-1 - self.axes] != self.in_channels:
            sizes = "H, W" if self.axes == 2 else "L"
            raise ValueError(
                f"{type(self).__name__}: input of shape {tuple(x.shape)} must be "
                f"(N, {self.in_channels}, {sizes}) or ({self.in_channels}, {sizes})"
            )
        return x

    def _each(self, name: str, value: Sizes | str, least: int) -> tuple[int, ...]:
        """An argument for each axis."""
        each = tuple(value) if isinstance(value, Sequence) else (value,) * self.axes
        sizes = [n for n in (as_integer(n, least) for n in each) if n is not None]
        if len(each) != self.axes or len(sizes) != self.axes:
            raise ValueError(
                f"{type(self).__name__}: {name}={value!r} must be an integer >= {least}, or "
                f"{self.axes} of them"
            )
        return tuple(sizes)

    def extra_repr(self) -> str:
        """The arguments, as ``print(layer)`` shows them."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding}, dilation={self.dilation}, "
            f"groups={self.groups}, basis={self.basis}, base={self.base!r}, "
            f"separate_scale={self.spline_scale is not None}"
        )


class KANConv1d(KANConv):
    """A convolution over one axis: ``KANConv2d`` for (N, C, L).

    Examples:
        >>> import torch
        >>> from kanlib import KANConv1d
        >>> KANConv1d(1, 4, 5, padding="same")(torch.rand(8, 1, 24)).shape
        torch.Size([8, 4, 24])
    """

    axes = 1


class KANConv2d(KANConv):
    """A Kolmogorov-Arnold convolution. It takes the place of an ``nn.Conv2d`` without bias.

    y_o(p) = sum_c sum_k phi_ock(x_c(s p + d k)) (Bodner et al., arXiv 2406.13155). x is 0 beyond
    its border, where an edge adds phi_ock(0), which need not be 0. The weights start as those of a
    ``KANLinear`` with I = C K / g inputs.

    Args:
        in_channels: C, a multiple of ``groups``.
        out_channels: O, likewise.
        kernel_size: of each axis, as all of the sizes that follow: an integer, or two.
        stride: >= 1.
        padding: zeros at both ends, >= 0; "valid" for 0; "same" for the size of the input, at
            stride 1.
        dilation: >= 1.
        groups: g; outputs of a group see the inputs of this group alone.
        options: basis, base, separate_scale, init_noise, device and dtype of ``KANLinear``.

    Attributes:
        weight: (O, 1 + M, C K / g), as the ``KANLinear`` has it: the last axis runs over channels,
            then over the offsets, row by row.
        spline_scale: (O, C K / g), or None.
        bias: None, as tools expect of a layer. A parameter (O,) that is put here is added.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib import KANConv2d
        >>> KANConv2d(3, 16, 3, stride=2, padding=1)(torch.rand(8, 3, 32, 32)).shape
        torch.Size([8, 16, 16, 16])
    """

    axes = 2


class KANConvTranspose2d(KANConv):
    """The mirror image of ``KANConv2d``, which takes small maps to large ones.

    It takes the place of an ``nn.ConvTranspose2d`` without bias. An edge leads from each pixel to
    each place that the kernel reaches from there: y_o(s p + d k) = sum_c sum_k phi_ock(x_c(p)).

    Args:
        in_channels: see ``KANConv2d``, as for all that is not explained here.
        out_channels: O.
        kernel_size: of each axis.
        stride: distance of neighbours in what is returned.
        padding: what is cut off at each border, >= 0.
        output_padding: what is added at the right and bottom, >= 0 and less than the stride or the
            dilation.
        groups: g.
        dilation: >= 1.
        options: as of ``KANConv2d``.

    Raises:
        ValueError: an argument is out of range.

    Examples:
        >>> import torch
        >>> from kanlib.nn import KANConvTranspose2d
        >>> KANConvTranspose2d(16, 3, 2, stride=2)(torch.rand(8, 16, 16, 16)).shape
        torch.Size([8, 3, 32, 32])
    """

    axes = 2

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sizes,
        stride: Sizes = 1,
        padding: Sizes = 0,
        output_padding: Sizes = 0,
        groups: int = 1,
        dilation: Sizes = 1,
        **options: Unpack[EdgeOptions],
    ) -> None:
        padding = self._each("padding", padding, least=0)  # no words
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, **options
        )
        self.output_padding = self._each("output_padding", output_padding, least=0)

    def forward(self, x: Tensor) -> Tensor:
        """Images (N, C, H, W) or one (C, H, W) -> (N, O, H', W'), as ``KANConv2d.forward``.

        Raises:
            ValueError: ``x`` has another number of axes or channels.
            TypeError: ``x`` has another dtype than the parameters.
        """
        x = self._checked(x)
        kernel = self._kernel().unflatten(0, (self.groups, -1))  # (g, O / g, 1 + M, C / g, ...)
        y = functional.conv_transpose2d(
            self._features(x),
            kernel.flatten(2, 3).transpose(1, 2).flatten(0, 1),
            self.bias,
            stride=self.stride,
            padding=tuple(n for n, _ in self.padding),
            output_padding=self.output_padding,
            groups=self.groups,
            dilation=self.dilation,
        )
        return _as_laid_out(y, x)


def _as_laid_out(y: Tensor, x: Tensor) -> Tensor:
    """``y`` in the memory format of ``x``: callers may want to view it."""
    last = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last)
    if last and not x.is_contiguous():
        return y.contiguous(memory_format=torch.channels_last)
    return y.contiguous()
