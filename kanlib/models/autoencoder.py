"""What every autoencoder is: an encoder, a decoder, and checks of its sizes."""

import bisect
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kanlib.nn.bases import check_sizes

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
        """Parameters at a size."""
        with torch.device("meta"):  # shapes only: nothing is allocated
            return count_parameters(build(size))

    above = bisect.bisect_left(range(1, largest + 1), target, key=count) + 1
    if above > largest:
        raise ValueError(f"match_parameters: target={target} is out of reach of size {largest}")
    return min(max(above - 1, 1), above, key=lambda size: abs(count(size) - target))


def count_parameters(model: nn.Module) -> int:
    """Numbers stored in the parameters of ``model``, trained or fitted."""
    return sum(parameter.numel() for parameter in model.parameters())


def check_architecture(shape: Shape, bottleneck: int, hidden: int | None) -> int:
    """The hidden width of an autoencoder, after all of its sizes are checked.

    Raises:
        ValueError: a size is no integer, or out of range.
    """
    known = isinstance(shape, tuple) and len(shape) == 3
    if not known or any(type(side) is not int or side < 1 for side in shape):
        raise ValueError(f"shape={shape!r} must be three positive integers in a tuple (C, H, W)")
    pixels = math.prod(shape)
    if isinstance(bottleneck, bool) or not isinstance(bottleneck, int):
        raise ValueError(f"bottleneck={bottleneck!r} must be an integer")
    if not 1 <= bottleneck <= pixels:
        raise ValueError(
            f"bottleneck={bottleneck} must be between 1 and {pixels}, the number of values in an "
            f"image of shape {shape}"
        )
    if hidden is None:
        return bottleneck
    check_sizes("autoencoder", hidden=hidden)
    return hidden
