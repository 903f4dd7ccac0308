"""Who is compared: layers and autoencoders by name."""

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.recursion import RecursiveKANLinear
from benchmarks.sparse import SparseKANLinear
from kanlib import BSpline, KANLinear, SharedLinear
from kanlib.models import Autoencoder, autoencoder, dense
from kanlib.models.conv import conv

FEATURES = 9  # 1 + G + k of the layers in an autoencoder: SiLU and the B-splines of an input


class Pykan(nn.Module):
    """pykan's layer, from its package; its forward also returns three tensors for plots."""

    def __init__(self, *arguments: int) -> None:
        super().__init__()
        self.layer: Any = import_module("kan.KANLayer").KANLayer(*arguments)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def _kan(
    in_features: int, out_features: int, grid_size: int, order: int, *, separate_scale: bool
) -> nn.Module:
    basis = BSpline(grid_size, order)
    return KANLinear(in_features, out_features, basis=basis, separate_scale=separate_scale)


def _limit(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
    return nn.Linear((1 + grid_size + order) * in_features, out_features, bias=False)


class FastKAN(nn.Module):
    """FastKAN's layer, written anew: eight Gaussians of normalised inputs, beside SiLU's product.

    ``KANLinear`` with ``GaussianRBF`` and a layer norm computes the same functions.
    """

    def __init__(self, in_features: int, out_features: int, *_: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(in_features)
        self.register_buffer("centres", torch.linspace(-2, 2, 8))
        self.splines = nn.Linear(8 * in_features, out_features, bias=False)
        self.base = nn.Linear(in_features, out_features)

    def forward(self, x: Tensor) -> Tensor:
        """(N, I) -> (N, O)."""
        offsets = (self.norm(x).unsqueeze(-1) - self.centres) * (7 / 4)
        bumps = torch.exp(-offsets.square())  # (N, I, 8)
        return self.splines(bumps.flatten(1)) + self.base(nn.functional.silu(x))


def _shared(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
    return SharedLinear(in_features, out_features, basis=BSpline(grid_size, order))


def _dense(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.ReLU())


# in_features, out_features, grid_size, spline_order -> layer. "dense limit" is the layer's product
# alone, on 1 + M ready features an input: what the layer would cost if its basis cost nothing.
LAYERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "KANLinear": partial(_kan, separate_scale=False),
    "KANLinear, scale kept": partial(_kan, separate_scale=True),
    "recursion": RecursiveKANLinear,
    "pykan": Pykan,
    "sparse": SparseKANLinear,
    "dense limit": _limit,
    "MLP": _dense,
    "shared functions": _shared,
    "FastKAN": FastKAN,
}


class _ReadyFeatures(nn.Module):
    """In the place of the basis: the input, ``FEATURES`` times; next to no time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(1, FEATURES)


def _ready_limit(in_features: int, out_features: int) -> nn.Module:
    product = nn.Linear(FEATURES * in_features, out_features, bias=False)
    return nn.Sequential(_ReadyFeatures(), product)


def _with_layers(
    layer: Callable[[int, int], nn.Module], shape: autoencoder.Shape, bottleneck: int
) -> Autoencoder:
    """The paper's autoencoder, with ``layer(in_features, out_features)`` for each KAN layer."""
    model = dense.kan(shape, bottleneck)
    for part in (model.encoder, model.decoder):
        for name, kan in list(part.named_children()):
            if isinstance(kan, KANLinear):
                setattr(part, name, layer(kan.in_features, kan.out_features))
    return model


def _nodes(
    model: Callable[..., Autoencoder], shape: autoencoder.Shape, hidden: int, **options: Any
) -> Autoencoder:
    return model(shape, 9, hidden, **options)


# (C, H, W), bottleneck -> the paper's autoencoder (KAN, ReLU, dense | dense, ReLU, KAN), by layer.
# "authors" has the recursion's layers and is trained the authors' way (``work.py``). "dense limit"
# has the products and updates of "KANLinear", without a basis. The last two have
# codes of 9 numbers, and their hidden width instead of the code size.
MODELS: dict[str, Callable[[autoencoder.Shape, int], nn.Module]] = {
    "KANLinear": partial(dense.kan, separate_scale=False),
    "KANLinear, scale kept": dense.kan,
    "recursion": partial(_with_layers, RecursiveKANLinear),
    "authors": partial(_with_layers, RecursiveKANLinear),
    "dense limit": partial(_with_layers, _ready_limit),
    "MLP": dense.mlp,
    "CNN": conv,
    "pure KAN": dense.kan_pure,
    "MLP, SiLU": partial(_nodes, dense.mlp, activation="silu"),
    "shared KAN": partial(_nodes, dense.kan_shared),
}
