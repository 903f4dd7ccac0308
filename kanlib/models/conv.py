"""The paper's convolutional autoencoder.

Source: the code of the authors of arXiv 2410.02077 (AminMoradiXL/kan_ae).
"""

import math

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_bottleneck

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
        encoder += [nn.Conv2d(outer, inner, kernel, step, padding), nn.ReLU()]
        # The authors pad by 1; a stride of 4 needs 2 to come back to the size before it.
        lacks = max(1, ((size[1] if line else min(size)) - 1) % stride)
        mirror = nn.ConvTranspose2d(
            inner, outer, kernel, step, padding, (0, lacks) if line else lacks
        )
        decoder = [mirror, nn.ReLU() if i else nn.Tanh(), *decoder]
        size = [(side - 1) // stride + 1 for side in size]
    encoder[-1] = nn.Flatten()  # no activation on the code
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
