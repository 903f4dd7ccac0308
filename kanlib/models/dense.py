"""Autoencoders of layers that see an image as one vector: the paper's two KANs, and MLPs.

An image (C, H, W) of D = C H W pixels becomes a code of ``bottleneck`` numbers and an image again.

Sources: arXiv 2410.02077 (the text) and its authors' published code (AminMoradiXL/kan_ae); where
the two differ, the docstring says which is followed.
"""

import itertools
import math
from collections.abc import Callable
from typing import Unpack

from torch import nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_architecture
from kanlib.nn.activation import SplineActivation
from kanlib.nn.linear import KANLinear, LayerOptions


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


def spline_mlp(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    **options: Unpack[LayerOptions],
) -> Autoencoder:
    """``mlp`` with a learned function on each hidden node in the place of ReLU.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's (None).
        options: basis, base and init_noise of ``SplineActivation``.
    """
    return mlp(shape, bottleneck, hidden, lambda width: SplineActivation(width, **options))
