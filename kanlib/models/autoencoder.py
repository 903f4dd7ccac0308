"""What every autoencoder is: an encoder, a decoder, and checks of its sizes."""

import bisect
import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

Shape = tuple[int, int, int]
_LARGEST = 2**17  # size of a model


class Fitted(nn.Module):
    """A part of an autoencoder that is fitted to the training images before the training."""

    def fit(self, images: Tensor) -> None:
        """Fit to (N, C, H, W)."""
        raise NotImplementedError


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

    def fit(self, images: Tensor) -> None:
        """Compute before the training what follows from the training images, if anything does.

        Args:
            images: (N, C, H, W), those of the training split that are trained on.

        Raises:
            ValueError: too few images.
        """
        for part in self.modules():
            if isinstance(part, Fitted):
                part.fit(images)

    def encode(self, images: Tensor) -> Tensor:
        """(N, C, H, W), values in [-1, 1] -> codes (N, bottleneck)."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """(N, bottleneck) -> images (N, C, H, W)."""
        return self.decoder(codes)

    def forward(self, images: Tensor) -> Tensor:
        """Reconstructions: (N, C, H, W) -> (N, C, H, W)."""
        return self.decode(self.encode(images))


def match_parameters(build: Callable[[int], nn.Module], target: int) -> int:
    """The size at which a model has the number of parameters nearest to ``target``.

    Args:
        build: size -> model; its parameter count must grow with the size.
        target: number of parameters wanted.

    Raises:
        ValueError: not even a size of 2**17 is large enough.
    """

    def count(size: int) -> int:
        """Parameters at a size."""
        with torch.device("meta"):  # shapes only: nothing is allocated
            return count_parameters(build(size))

    above = bisect.bisect_left(range(1, _LARGEST + 1), target, key=count) + 1
    if above > _LARGEST:
        raise ValueError(f"match_parameters: target={target} is out of reach of size {_LARGEST}")
    return min(max(above - 1, 1), above, key=lambda size: abs(count(size) - target))


def count_parameters(model: nn.Module) -> int:
    """Numbers stored in the parameters of ``model``, trained or fitted."""
    return sum(parameter.numel() for parameter in model.parameters())


def check_bottleneck(shape: Shape, bottleneck: int) -> None:
    """Refuse a code that is larger than the image, or has no size."""
    if not 1 <= bottleneck <= math.prod(shape):
        raise ValueError(
            f"bottleneck={bottleneck} must be between 1 and {math.prod(shape)}, the number of "
            f"values in an image of shape {shape}"
        )
