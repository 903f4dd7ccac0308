"""The paper's convolutional autoencoder, and the same of KAN convolutions.

Source: the code of the authors of arXiv 2410.02077 (AminMoradiXL/kan_ae).
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Unpack

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_bottleneck
from kanlib.models.dense import activated
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.conv import KANConv2d, KANConvTranspose2d
from kanlib.nn.linear import LayerOptions
from kanlib.nn.shared import SharedFunctions

_SPLINES = BSpline()

# The authors' networks: (C, H, W), bottleneck -> channels after the image's, strides.
_PUBLISHED_CONV: dict[tuple[Shape, int], tuple[tuple[int, int, int], tuple[int, int, int]]] = {
    ((1, 28, 28), 4): ((8, 4, 1), (2, 2, 4)),  # named in the text; not in the code
    ((1, 28, 28), 9): ((8, 4, 1), (2, 2, 3)),
    ((1, 28, 28), 18): ((8, 4, 2), (2, 2, 3)),
    ((3, 32, 32), 32): ((32, 8, 2), (2, 2, 2)),
    ((3, 32, 32), 48): ((32, 8, 3), (2, 2, 2)),
    ((3, 32, 32), 64): ((32, 8, 4), (2, 2, 2)),
}
# For SVHN the first layer's width differs with the bottleneck.
_SVHN_WIDTH = {32: 16, 48: 32, 64: 64}


def conv(shape: Shape, bottleneck: int, width: float = 1.0, *, dataset: str = "") -> Autoencoder:
    """Three strided 3x3 convolutions, ReLU between; mirrored by transposed ones, Tanh at the end.

    The authors' AE-CNN where they published one: 28 x 28 grey images at bottlenecks 4, 9, 18 and
    32 x 32 colour images at 32, 48, 64. Any other size, by this rule: 32, 8 and 8 channels, stride
    2, and a dense layer from the last feature map to the code (and back). At height 1 (windows of a
    series, see ``kanlib.data``) the kernels are 1x3 and stride along the width alone, which is a
    convolution in one dimension. Outputs are cut to the image's size at the right and bottom, and
    lie in [-1, 1].

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: factor on the channels of the two inner layers (to match a parameter count).
        dataset: a name that begins with "svhn" has the authors' widths for SVHN, 16 / 32 / 64 at
            bottlenecks 32 / 48 / 64.
    """
    return _mirrored(
        shape, bottleneck, width, dataset, nn.Conv2d, nn.ConvTranspose2d, lambda: [nn.ReLU()]
    )


def kan_conv(
    shape: Shape,
    bottleneck: int,
    width: float = 1.0,
    *,
    dataset: str = "",
    separate_scale: bool = True,
    **options: Unpack[LayerOptions],
) -> Autoencoder:
    """``conv`` with KAN convolutions, which need no activation between them; Tanh at the end.

    Not in the paper: it compares its KAN of dense layers with a CNN.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: as of ``conv``.
        dataset: as of ``conv``.
        separate_scale: as in ``KANLinear``.
        options: basis, base and init_noise of ``KANLinear``.
    """
    down, up = (
        partial(layer, separate_scale=separate_scale, **options)
        for layer in (KANConv2d, KANConvTranspose2d)
    )
    return _mirrored(shape, bottleneck, width, dataset, down, up, list)


def cnn_dense(
    shape: Shape, bottleneck: int, width: float = 16, *, activation: str = "relu"
) -> Autoencoder:
    """Two strided 3x3 convolutions and a dense layer to the code; mirrored. No output activation.

    Not in the paper, whose CNN has one or a few channels at its code. Here the channels double as
    the map shrinks.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: channels of the first convolution; the second has twice as many. It is rounded.
        activation: "relu", "gelu", "silu" or "prelu".
    """
    return _with_dense_code(shape, bottleneck, width, partial(activated, activation))


def kan_shared_conv(
    shape: Shape,
    bottleneck: int,
    width: float = 16,
    *,
    basis: Basis = _SPLINES,
    base: str = "silu",
    init_noise: float = 0.1,
) -> Autoencoder:
    """``cnn_dense`` with a learned function of each channel, which all positions share.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: as of ``cnn_dense``.
        basis: of ``SharedFunctions``, as the two that follow.
        base: "silu", "identity" or "zero".
        init_noise: >= 0.
    """
    functions = partial(SharedFunctions, basis=basis, base=base, init_noise=init_noise, axis=-3)
    return _with_dense_code(shape, bottleneck, width, functions)


def _with_dense_code(
    shape: Shape, bottleneck: int, width: float, activation: Callable[[int], nn.Module]
) -> Autoencoder:
    """The networks of ``cnn_dense``; ``activation`` takes a number of channels."""
    check_bottleneck(shape, bottleneck)
    channels = (shape[0], max(1, round(width)), max(1, round(2 * width)))
    sizes = [(shape[1], shape[2])]
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    for outer, inner in itertools.pairwise(channels):
        height, width = sizes[-1]
        smaller = (height + 1) // 2, (width + 1) // 2
        lacks = (height + 1) % 2, (width + 1) % 2  # of the mirror's output
        encoder += [nn.Conv2d(outer, inner, 3, 2, 1), activation(inner)]
        mirror = nn.ConvTranspose2d(inner, outer, 3, 2, 1, lacks)
        decoder = [activation(inner), mirror, *decoder]
        sizes.append(smaller)
    features = channels[-1] * math.prod(sizes[-1])
    encoder += [nn.Flatten(), nn.Linear(features, bottleneck)]
    decoder = [
        nn.Linear(bottleneck, features),
        nn.Unflatten(1, (channels[-1], *sizes[-1])),
        *decoder,
    ]
    model = Autoencoder(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return model.to(memory_format=torch.channels_last)  # faster on a CPU


def _mirrored(
    shape: Shape,
    bottleneck: int,
    width: float,
    dataset: str,
    down: Callable[..., nn.Module],
    up: Callable[..., nn.Module],
    between: Callable[[], list[nn.Module]],
) -> Autoencoder:
    """The networks of ``conv``; ``between`` makes what stands between two convolutions."""
    check_bottleneck(shape, bottleneck)
    published = _PUBLISHED_CONV.get((shape, bottleneck))
    channels, strides = published or ((32, 8, 8), (2, 2, 2))
    if dataset.startswith("svhn") and published and bottleneck in _SVHN_WIDTH:
        channels = (_SVHN_WIDTH[bottleneck], *channels[1:])
    channels = [shape[0], *(max(1, round(width * c)) for c in channels[:2]), channels[2]]
    line = shape[1] == 1  # a window of a series: nothing above or below to convolve over
    kernel, padding = ((1, 3), (0, 1)) if line else (3, 1)
    size = list(shape[1:])  # of the map; a height of 1 remains
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = [_Crop(shape)]
    for i, stride in enumerate(strides):
        step = (1, stride) if line else stride
        outer, inner = channels[i], channels[i + 1]
        encoder += [*(between() if i else []), down(outer, inner, kernel, step, padding)]
        # The authors pad by 1; a stride of 4 needs 2 to come back to the size before it.
        lacks = max(1, ((size[1] if line else min(size)) - 1) % stride)
        mirror = up(inner, outer, kernel, step, padding, (0, lacks) if line else lacks)
        decoder = [mirror, *(between() if i else [nn.Tanh()]), *decoder]
        size = [(side - 1) // stride + 1 for side in size]
    encoder.append(nn.Flatten())  # no activation on the code
    decoder.insert(0, nn.Unflatten(1, (channels[3], *size)))
    if not published:
        features = channels[3] * math.prod(size)
        encoder.append(nn.Linear(features, bottleneck))
        decoder.insert(0, nn.Linear(bottleneck, features))
    model = Autoencoder(nn.Sequential(*encoder), nn.Sequential(*decoder))
    return model.to(memory_format=torch.channels_last)  # faster on a CPU


class _Crop(nn.Module):
    """(N, C, H', W') -> (N, C, H, W), cut at the right and bottom."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: Tensor) -> Tensor:
        return images[..., : self.shape[1], : self.shape[2]]
