"""Autoencoders of layers that see an image as one vector: the paper's two KANs, and MLPs.

Needs ``layers.py``; ``convolutional.py`` has the paper's CNN, ``baselines.py`` adds PCA and builds
any of them by name. An image (C, H, W) of D = C H W pixels becomes a code of ``bottleneck`` numbers
and an image again.

Sources: arXiv 2410.02077 (the text) and its authors' published code (AminMoradiXL/kan_ae); where
the two differ, the docstring says which is followed.
"""

import bisect
import itertools
import math
from collections.abc import Callable
from typing import Unpack

import torch
from torch import Tensor, nn

from kanlib.bases import check_sizes
from kanlib.layers import KANLinear, LayerOptions

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
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[LayerOptions],
) -> Autoencoder:
    """The paper's text: KAN layer, ReLU, dense | dense, ReLU, KAN layer.

    Used by the authors for MNIST. No output activation.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between the KAN and the dense layer; the bottleneck's in the paper (None).
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis, base and init_noise of ``KANLinear``.
    """
    hidden = check_architecture(shape, bottleneck, hidden)
    pixels = math.prod(shape)
    return Autoencoder(
        nn.Sequential(
            nn.Flatten(),
            KANLinear(pixels, hidden, separate_scale=separate_scale, **options),
            nn.ReLU(),
            nn.Linear(hidden, bottleneck),
        ),
        nn.Sequential(
            nn.Linear(bottleneck, hidden),
            nn.ReLU(),
            KANLinear(hidden, pixels, separate_scale=separate_scale, **options),
            nn.Unflatten(1, shape),
        ),
    )


def kan_pure(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[LayerOptions],
) -> Autoencoder:
    """KAN layer | KAN layer: what the authors' code computes for CIFAR-10 and SVHN.

    Their model also builds, and counts, ReLU and dense layers that it never calls; these are left
    out here.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between two KAN layers on each side (not in the paper); None: one layer each.
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis, base and init_noise of ``KANLinear``.
    """
    check_architecture(shape, bottleneck, hidden)
    pixels = math.prod(shape)
    widths = [pixels, bottleneck] if hidden is None else [pixels, hidden, bottleneck]

    def layers(widths: list[int]) -> list[nn.Module]:
        """KAN layers from each width to the next."""
        return [
            KANLinear(*pair, separate_scale=separate_scale, **options)
            for pair in itertools.pairwise(widths)
        ]

    return Autoencoder(
        nn.Sequential(nn.Flatten(), *layers(widths)),
        nn.Sequential(*layers(widths[::-1]), nn.Unflatten(1, shape)),
    )


def mlp(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    activation: Callable[[int], nn.Module] | None = None,
) -> Autoencoder:
    """``kan`` with a dense layer in the place of each KAN layer.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's, as in ``kan`` (None).
        activation: width -> activation of a hidden layer; ReLU (None). With ``SplineActivation``
            the nodes carry what the edges of a KAN carry.
    """
    hidden = check_architecture(shape, bottleneck, hidden)
    pixels = math.prod(shape)
    activation = activation or (lambda width: nn.ReLU())
    return Autoencoder(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(pixels, hidden),
            activation(hidden),
            nn.Linear(hidden, bottleneck),
        ),
        nn.Sequential(
            nn.Linear(bottleneck, hidden),
            activation(hidden),
            nn.Linear(hidden, pixels),
            nn.Unflatten(1, shape),
        ),
    )


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
