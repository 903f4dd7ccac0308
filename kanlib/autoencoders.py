"""Autoencoders by name: the paper's two KANs, its convolutional rival, and an MLP.

Needs ``layers.py``; ``baselines.py`` adds PCA and builds any of them by name. An image (C, H, W)
of D = C H W pixels becomes a code of ``bottleneck`` numbers and an image again.

Sources: arXiv 2410.02077 (the text) and its authors' published code (AminMoradiXL/kan_ae); where
the two differ, the docstring says which is followed.
"""

import bisect
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kanlib.layers import KANLinear

Shape = tuple[int, int, int]


class Autoencoder(nn.Module):
    """An encoder and a decoder for images of one shape.

    Args:
        encoder: (N, C, H, W) -> (N, bottleneck).
        decoder: (N, bottleneck) -> (N, C, H, W).
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W), values in [-1, 1] -> codes (N, bottleneck)."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(N, bottleneck) -> images (N, C, H, W)."""
        return self.decoder(codes)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions: (N, C, H, W) -> (N, C, H, W)."""
        return self.decode(self.encode(images))


def kan(
    shape: Shape, bottleneck: int, hidden: int | None = None, *, separate_scale: bool = True
) -> Autoencoder:
    """The paper's text: KAN layer, ReLU, dense | dense, ReLU, KAN layer.

    Used by the authors for MNIST. No output activation.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between the KAN and the dense layer; the bottleneck's in the paper (None).
        separate_scale: as in ``KANLinear``; True reproduces the paper.
    """
    hidden = _width(shape, bottleneck, hidden)
    pixels = math.prod(shape)
    return Autoencoder(
        nn.Sequential(
            nn.Flatten(),
            KANLinear(pixels, hidden, separate_scale=separate_scale),
            nn.ReLU(),
            nn.Linear(hidden, bottleneck),
        ),
        nn.Sequential(
            nn.Linear(bottleneck, hidden),
            nn.ReLU(),
            KANLinear(hidden, pixels, separate_scale=separate_scale),
            nn.Unflatten(1, shape),
        ),
    )


def kan_pure(shape: Shape, bottleneck: int, *, separate_scale: bool = True) -> Autoencoder:
    """KAN layer | KAN layer: what the authors' code computes for CIFAR-10 and SVHN.

    Their model also builds, and counts, ReLU and dense layers that it never calls; these are left
    out here.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        separate_scale: as in ``KANLinear``; True reproduces the paper.
    """
    _width(shape, bottleneck, None)
    pixels = math.prod(shape)
    return Autoencoder(
        nn.Sequential(nn.Flatten(), KANLinear(pixels, bottleneck, separate_scale=separate_scale)),
        nn.Sequential(
            KANLinear(bottleneck, pixels, separate_scale=separate_scale), nn.Unflatten(1, shape)
        ),
    )


def mlp(shape: Shape, bottleneck: int, hidden: int | None = None) -> Autoencoder:
    """``kan`` with a dense layer in the place of each KAN layer.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's, as in ``kan`` (None).
    """
    hidden = _width(shape, bottleneck, hidden)
    pixels = math.prod(shape)
    return Autoencoder(
        nn.Sequential(
            nn.Flatten(), nn.Linear(pixels, hidden), nn.ReLU(), nn.Linear(hidden, bottleneck)
        ),
        nn.Sequential(
            nn.Linear(bottleneck, hidden),
            nn.ReLU(),
            nn.Linear(hidden, pixels),
            nn.Unflatten(1, shape),
        ),
    )


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


def conv(shape: Shape, bottleneck: int, width: float = 1.0, *, svhn: bool = False) -> Autoencoder:
    """Three strided 3x3 convolutions, ReLU between; mirrored by transposed ones, Tanh at the end.

    The authors' AE-CNN where they published one: 28 x 28 grey images at bottlenecks 4, 9, 18 and
    32 x 32 colour images at 32, 48, 64. Any other size, by this rule: 32, 8 and 8 channels, stride
    2, and a dense layer from the last feature map to the code (and back). Outputs are cut to the
    image's size at the right and bottom, and lie in [-1, 1].

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        width: factor on the channels of the two inner layers (to match a parameter count).
        svhn: take the authors' widths for SVHN, 16 / 32 / 64 at bottlenecks 32 / 48 / 64.
    """
    _width(shape, bottleneck, None)
    if not 0 < width < math.inf:
        raise ValueError(f"width={width!r} must be positive and finite")
    published = _PUBLISHED_CONV.get((shape, bottleneck))
    channels, strides = published or ((32, 8, 8), (2, 2, 2))
    if svhn and published and bottleneck in _SVHN_WIDTH:
        channels = (_SVHN_WIDTH[bottleneck], *channels[1:])
    inner = [max(1, round(width * c)) for c in channels[:2]]
    channels = [shape[0], *inner, channels[2]]
    encoder: list[nn.Module] = []
    decoder: list[nn.Module] = []
    side = min(shape[1:])
    for i, stride in enumerate(strides):
        encoder += [nn.Conv2d(channels[i], channels[i + 1], 3, stride, padding=1), nn.ReLU()]
        # The authors pad by 1; a stride of 4 needs 2 to come back to the size before it.
        lacks = (side - 1) % stride
        side = (side - 1) // stride + 1
        mirror = nn.ConvTranspose2d(
            channels[i + 1], channels[i], 3, stride, padding=1, output_padding=max(1, lacks)
        )
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
    return model.to(memory_format=torch.channels_last)  # 1.3 to 2 times as fast on a CPU


def match_parameters(build: Callable[[int], nn.Module], target: int, largest: int = 2**17) -> int:
    """The size at which a model has the number of parameters nearest to ``target``.

    Args:
        build: size -> model; its parameter count must grow with the size.
        target: number of parameters wanted.
        largest: sizes 1 .. largest are considered.

    Raises:
        ValueError: the largest size is still too small, or ``target`` is not positive.
    """
    if not target > 0:
        raise ValueError(f"match_parameters: target={target!r} must be positive")

    def count(size: int) -> int:
        with torch.device("meta"):  # shapes only: nothing is allocated
            return count_parameters(build(size))

    above = bisect.bisect_left(range(1, largest + 1), target, key=count) + 1
    if above > largest:
        raise ValueError(f"match_parameters: target={target} is out of reach of size {largest}")
    return min(max(above - 1, 1), above, key=lambda size: abs(count(size) - target))


def count_parameters(model: nn.Module) -> int:
    """Numbers stored in the parameters of ``model``, trained or fitted."""
    return sum(parameter.numel() for parameter in model.parameters())


class _Crop(nn.Module):
    """(N, C, H', W') -> (N, C, H, W), cut at the right and bottom."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, images: Tensor) -> Tensor:
        return images[..., : self.shape[1], : self.shape[2]]


def _map_size(size: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Height and width after 3x3 convolutions of padding 1."""
    for stride in strides:
        size = [(side - 1) // stride + 1 for side in size]
    return list(size)


def _width(shape: Shape, bottleneck: int, hidden: int | None) -> int:
    """The hidden width, after all sizes are checked."""
    known = isinstance(shape, tuple) and len(shape) == 3
    if not known or any(type(side) is not int or side < 1 for side in shape):
        raise ValueError(f"shape={shape!r} must be three positive integers in a tuple (C, H, W)")
    pixels = math.prod(shape)
    if isinstance(bottleneck, bool) or not isinstance(bottleneck, int):
        raise TypeError(f"bottleneck={bottleneck!r} must be an integer")
    if not 1 <= bottleneck <= pixels:
        raise ValueError(
            f"bottleneck={bottleneck} must be between 1 and {pixels}, the number of values in an "
            f"image of shape {shape}"
        )
    if hidden is None:
        return bottleneck
    if isinstance(hidden, bool) or not isinstance(hidden, int) or hidden < 1:
        raise ValueError(f"hidden={hidden!r} must be an integer >= 1, or None for the bottleneck's")
    return hidden
