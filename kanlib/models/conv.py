"""The paper's convolutional autoencoder.

Source: the code of the authors of arXiv 2410.02077 (AminMoradiXL/kan_ae).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_architecture

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
    series, see ``data.py``) the kernels are 1x3 and stride along the width alone, which is a
    convolution in one dimension. Outputs are cut to the image's size at the right and bottom, and
    lie in [-1, 1].

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: factor on the channels of the two inner layers (to match a parameter count).
        dataset: a name that begins with "svhn" has the authors' widths for SVHN, 16 / 32 / 64 at
            bottlenecks 32 / 48 / 64.
    """
    check_architecture(shape, bottleneck, None)
    if not 0 < width < math.inf:
        raise ValueError(f"width={width!r} must be positive and finite")
    published = _PUBLISHED_CONV.get((shape, bottleneck))
    channels, strides = published or ((32, 8, 8), (2, 2, 2))
    if dataset.startswith("svhn") and published and bottleneck in _SVHN_WIDTH:
        channels = (_SVHN_WIDTH[bottleneck], *channels[1:])
    inner = [max(1, round(width * c)) for c in channels[:2]]
    channels = [shape[0], *inner, channels[2]]
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    line = shape[1] == 1  # a window of a series: nothing above or below to convolve over
    kernel, padding = ((1, 3), (0, 1)) if line else (3, 1)
    side = shape[2] if line else min(shape[1:])
    for i, stride in enumerate(strides):
        step = (1, stride) if line else stride
        encoder += [nn.Conv2d(channels[i], channels[i + 1], kernel, step, padding), nn.ReLU()]
        # The authors pad by 1; a stride of 4 needs 2 to come back to the size before it.
        lacks = max(1, (side - 1) % stride)
        side = (side - 1) // stride + 1
        mirror = nn.ConvTranspose2d(
            channels[i + 1], channels[i], kernel, step, padding,
            output_padding=(0, lacks) if line else lacks,
        )  # fmt: skip
        decoder = [mirror, nn.ReLU() if i else nn.Tanh(), *decoder]
    encoder.pop()  # no activation on the code
    last = (channels[3], *_map_size(shape[1:], strides))
    to_code: list[nn.Module] = [nn.Flatten()]
    from_code: list[nn.Module] = [nn.Unflatten(1, last)]
    if not published:
        features = math.prod(last)
        to_code.append(nn.Linear(features, bottleneck))
        from_code.insert(0, nn.Linear(bottleneck, features))
    model = Autoencoder(
        nn.Sequential(*encoder, *to_code), nn.Sequential(*from_code, *decoder, _Crop(shape))
    )
    return model.to(memory_format=torch.channels_last)  # faster on a CPU


class _Crop(nn.Module):
    """(N, C, H', W') -> (N, C, H, W), cut at the right and bottom."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: Tensor) -> Tensor:
        return images[..., : self.shape[1], : self.shape[2]]


def _map_size(size: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Height and width after convolutions of size 3, padding 1; a height of 1 remains."""
    for stride in strides:
        size = [(side - 1) // stride + 1 for side in size]
    return list(size)
