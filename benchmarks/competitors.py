"""Who is compared: layers and autoencoders by name."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.recursion import RecursiveKANLinear
from benchmarks.sparse import SparseKANLinear
from kanlib import BSpline, KANLinear
from kanlib.models import Autoencoder, autoencoder, dense
from kanlib.models.conv import conv


class Pykan(nn.Module):
    """pykan's layer, from its package; its forward also returns three tensors for plots."""

    def __init__(self, *arguments: int) -> None:
        super().__init__()
        self.layer: Any = import_module("kan.KANLayer").KANLayer(*arguments)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


def _kan(separate_scale: bool) -> Callable[[int, int, int, int], nn.Module]:
    def build(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
        basis = BSpline(grid_size, order)
        return KANLinear(in_features, out_features, basis=basis, separate_scale=separate_scale)

    return build


def _dense(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
    return nn.Linear((1 + grid_size + order) * in_features, out_features, bias=False)


def _dense_layer(in_features: int, out_features: int, grid_size: int, order: int) -> nn.Module:
    return nn.Sequential(nn.Linear(in_features, out_features), nn.ReLU())


# in_features, out_features, grid_size, spline_order -> layer. "dense limit" is the layer's product
# alone, on 1 + M ready features an input: what the layer would cost if its basis cost nothing.
LAYERS: dict[str, Callable[[int, int, int, int], nn.Module]] = {
    "KANLinear": _kan(separate_scale=False),
    "KANLinear, scale kept": _kan(separate_scale=True),
    "recursion": RecursiveKANLinear,
    "pykan": Pykan,
    "sparse": SparseKANLinear,
    "dense limit": _dense,
    "MLP": _dense_layer,
}


def recursion_of(layer: KANLinear) -> RecursiveKANLinear:
    """The same function, computed as efficient-kan does."""
    basis = layer.basis
    if not isinstance(basis, BSpline):
        raise TypeError(f"recursion_of: the layer's basis is {basis}, must be a BSpline")
    keeps_scale = layer.spline_scale is not None
    twin = RecursiveKANLinear(
        layer.in_features, layer.out_features, basis.grid_size, basis.spline_order, keeps_scale
    )
    with torch.no_grad():
        twin.base_weight.copy_(layer.weight[:, 0])
        twin.spline_weight.copy_(layer.weight[:, 1:].transpose(1, 2))
        if twin.spline_scaler is not None and layer.spline_scale is not None:
            twin.spline_scaler.copy_(layer.spline_scale)
    return twin


def sparse_of(layer: KANLinear) -> SparseKANLinear:
    """The same function, from the non-zero B-splines alone."""
    basis = layer.basis
    if not isinstance(basis, BSpline) or layer.spline_scale is not None:
        raise TypeError(f"sparse_of: {layer} must be a layer of B-splines without a scale")
    twin = SparseKANLinear(
        layer.in_features, layer.out_features, basis.grid_size, basis.spline_order
    )
    with torch.no_grad():
        twin.base_weight.copy_(layer.weight[:, 0])
        twin.coefficients.copy_(layer.weight[:, 1:].permute(2, 1, 0))
    return twin


def _with_layers(model: Autoencoder, made: Callable[[KANLinear], nn.Module]) -> nn.Module:
    """``model`` with ``made(layer)`` in the place of each KAN layer."""
    for part in (model.encoder, model.decoder):
        for name, layer in list(part.named_children()):
            if isinstance(layer, KANLinear):
                setattr(part, name, made(layer))
    return model


def _recursive_autoencoder(shape: autoencoder.Shape, bottleneck: int) -> nn.Module:
    return _with_layers(dense.kan(shape, bottleneck), recursion_of)


class _ReadyFeatures(nn.Module):
    """In the place of the basis: the input, 1 + M = 9 times; next to no time."""

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat(1, 9)


def _dense_autoencoder(shape: autoencoder.Shape, bottleneck: int) -> nn.Module:
    """The products, the updates and all else of the folded layer's autoencoder, without a basis."""
    return _with_layers(
        dense.kan(shape, bottleneck),
        lambda layer: nn.Sequential(
            _ReadyFeatures(), nn.Linear(9 * layer.in_features, layer.out_features, bias=False)
        ),
    )


# (C, H, W), bottleneck -> the paper's autoencoder (KAN, ReLU, dense | dense, ReLU, KAN), by layer.
# "authors" has the recursion's layers and is trained the authors' way (``work.py``).
MODELS: dict[str, Callable[[autoencoder.Shape, int], nn.Module]] = {
    "KANLinear": lambda *arguments: dense.kan(*arguments, separate_scale=False),
    "KANLinear, scale kept": dense.kan,
    "recursion": _recursive_autoencoder,
    "authors": _recursive_autoencoder,
    "dense limit": _dense_autoencoder,
    "MLP": dense.mlp,
    "CNN": conv,
}
