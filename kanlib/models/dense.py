"""Autoencoders of layers that see an image as one vector: the paper's two KANs, and MLPs.

An image (C, H, W) of D = C H W pixels becomes a code of ``bottleneck`` numbers and an image again.

Sources: arXiv 2410.02077 (the text) and its authors' published code (AminMoradiXL/kan_ae); where
the two differ, the docstring says which is followed.
"""

import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Any, TypedDict, Unpack

from torch import nn

from kanlib.models.autoencoder import Autoencoder, Shape, check_bottleneck
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.linear import KANLinear
from kanlib.nn.rational import Rational, RationalActivation, RationalLinear
from kanlib.nn.shared import SharedFunctions

_SPLINES = BSpline()


class NodeOptions(TypedDict, total=False):
    """What describes the learned functions of a model, on edges or nodes.

    ``Rational`` functions have no base function and no noise: with them the rest is without effect.
    """

    basis: Basis | Rational
    base: str
    init_noise: float


class EdgeOptions(NodeOptions, total=False):
    """What describes those on edges."""

    layer_norm: bool


def kan(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[EdgeOptions],
) -> Autoencoder:
    """The paper's text: KAN layer, ReLU, dense | dense, ReLU, KAN layer.

    Used by the authors for MNIST. No output activation.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between the KAN and the dense layer; the bottleneck's in the paper (None).
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis (or ``Rational``), base, init_noise and layer_norm of ``KANLinear``.
    """
    layer = partial(_on_edges, separate_scale=separate_scale, **options)
    return _mirrored(shape, bottleneck, hidden, layer, lambda width: nn.ReLU())


def kan_pure(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    *,
    separate_scale: bool = True,
    **options: Unpack[EdgeOptions],
) -> Autoencoder:
    """KAN layer | KAN layer: what the authors' code computes for CIFAR-10 and SVHN.

    Their model also builds, and counts, ReLU and dense layers that it never calls; these are left
    out here.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width between two KAN layers on each side (not in the paper); None: one layer each.
        separate_scale: as in ``KANLinear``; True reproduces the paper.
        options: basis (or ``Rational``), base, init_noise and layer_norm of ``KANLinear``.
    """
    check_bottleneck(shape, bottleneck)
    pixels = math.prod(shape)
    widths = [pixels, bottleneck] if hidden is None else [pixels, hidden, bottleneck]

    def layers(widths: list[int]) -> list[nn.Module]:
        """KAN layers from each width to the next."""
        return [
            _on_edges(*pair, separate_scale=separate_scale, **options)
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
    activation: Callable[[int], nn.Module] = lambda width: nn.ReLU(),
) -> Autoencoder:
    """``kan`` with a dense layer in the place of each KAN layer.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's, as in ``kan`` (None).
        activation: width -> activation of a hidden layer. With ``SharedFunctions``
            the nodes carry what the edges of a KAN carry.
    """
    return _mirrored(shape, bottleneck, hidden, nn.Linear, activation)


def spline_mlp(
    shape: Shape,
    bottleneck: int,
    hidden: int | None = None,
    **options: Unpack[NodeOptions],
) -> Autoencoder:
    """``mlp`` with a learned function on each hidden node in the place of ReLU.

    Args:
        shape: (C, H, W) of the images.
        bottleneck: size of the code, 1 to C H W.
        hidden: width of the hidden layers; the bottleneck's (None).
        options: basis (or ``Rational``), base and init_noise of ``SharedFunctions``.
    """
    return mlp(shape, bottleneck, hidden, lambda width: _on_nodes(width, **options))


def _on_edges(
    inputs: int,
    outputs: int,
    *,
    basis: Basis | Rational = _SPLINES,
    **options: Any,
) -> nn.Module:
    """A layer with functions of the basis on its edges."""
    if isinstance(basis, Rational):
        return RationalLinear(inputs, outputs, basis.groups)
    return KANLinear(inputs, outputs, basis=basis, **options)


def _on_nodes(width: int, *, basis: Basis | Rational = _SPLINES, **options: Any) -> nn.Module:
    """Functions of the basis on nodes."""
    if isinstance(basis, Rational):
        return RationalActivation(width, basis.groups)
    return SharedFunctions(width, basis=basis, **options)


def _mirrored(
    shape: Shape,
    bottleneck: int,
    hidden: int | None,
    layer: Callable[[int, int], nn.Module],
    activation: Callable[[int], nn.Module],
) -> Autoencoder:
    """Layer, activation, dense | dense, activation, layer."""
    check_bottleneck(shape, bottleneck)
    pixels, hidden = math.prod(shape), bottleneck if hidden is None else hidden
    to_code = [layer(pixels, hidden), activation(hidden), nn.Linear(hidden, bottleneck)]
    from_code = [nn.Linear(bottleneck, hidden), activation(hidden), layer(hidden, pixels)]
    return Autoencoder(
        nn.Sequential(nn.Flatten(), *to_code), nn.Sequential(*from_code, nn.Unflatten(1, shape))
    )
