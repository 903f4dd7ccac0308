"""What reaches the layers of a model: moments, from which spreads and polynomials follow.

A layer's edges are phi_oi(x) = sum_k w_oki f_k(x): a KAN layer's features f are its base and basis
functions, a dense layer's the input itself. So the mean, the spread and the best polynomial of all
edges follow from one matrix of second moments an input, and no edge is ever evaluated alone.

Shapes: N images, I inputs of a layer, K features of each, D the largest degree of a polynomial.
An activation that learns may have K functions of each input. They are its features.
"""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kanlib.nn.features import edge_features
from kanlib.nn.hooks import See, watch
from kanlib.nn.linear import KANLinear
from kanlib.nn.rational import RationalActivation
from kanlib.nn.shared import SharedFunctions

# Modules that act on each number by itself; another kind of activation is one name more.
LEARNED: tuple[type[nn.Module], ...] = (SharedFunctions, RationalActivation)
ACTIVATIONS = (nn.ReLU, nn.PReLU, nn.GELU, nn.SiLU, nn.Tanh, *LEARNED)
LARGEST = 3  # degree D of the polynomials that moments are kept for
_BATCH = 512  # images at a time
_RANK = 1e-10  # directions with less of the data's weight than that are none


@dataclass(frozen=True)
class Moments:
    """What reached a layer, as far as polynomials and spreads need it.

    Attributes:
        low: (I,) smallest value of each input.
        high: (I,) largest.
        gram: (I, D + 1 + K, D + 1 + K) float64: means over the data of the products of
            [T_0(u) .. T_D(u), f_1(x) .. f_K(x)], T Chebyshev polynomials, u the input scaled from
            [low, high] to [-1, 1].
    """

    low: Tensor
    high: Tensor
    gram: Tensor


def moments(model: nn.Module, images: Tensor) -> dict[str, Moments]:
    """Moments of what reaches the KAN, dense and activation layers of ``model``.

    Args:
        model: called twice, in eval mode; or a layer.
        images: (N, ...) as ``model`` takes them, on its device: the training images.

    Returns:
        Name of the layer within ``model`` -> its moments; empty for PCA, which has none.

    Raises:
        ValueError: there are no images.
    """
    low: dict[str, Tensor] = {}
    high: dict[str, Tensor] = {}
    gram: dict[str, Tensor] = {}
    seen: Counter[str] = Counter()  # rows

    def see_range(name: str, layer: nn.Module, x: Tensor) -> None:
        """Widen the range of each input by a batch."""
        rows = _rows(layer, x)
        seen[name] += len(rows)
        least, most = rows.double().aminmax(dim=0)
        low[name] = torch.minimum(low.get(name, least), least)
        high[name] = torch.maximum(high.get(name, most), most)

    def see_products(name: str, layer: nn.Module, x: Tensor) -> None:
        """Add the products of a batch to their means."""
        terms = chebyshev(scaled(_rows(layer, x).double(), low[name], high[name]), LARGEST)
        both = torch.cat([terms, features(layer, x)], dim=1).permute(2, 1, 0)  # (I, D+1+K, N)
        gram[name] = gram.get(name, 0) + both @ both.mT / seen[name]

    for see in (see_range, see_products):
        visit(model, (KANLinear, nn.Linear, *ACTIVATIONS), images, see)
    return {name: Moments(low[name], high[name], gram[name]) for name in gram}


@torch.no_grad()  # not inference_mode: copies of the model are made from what is seen
def visit(model: nn.Module, kinds: tuple[type[nn.Module], ...], images: Tensor, see: See) -> None:
    """Call ``see(name, layer, x)`` with all that enters the layers of these kinds.

    Args:
        model: called in eval mode; its mode stays as it was.
        kinds: of layers.
        images: (N, ...) as ``model`` takes them.
        see: gets the layer's name, the layer, and its input, a batch at a time.

    Raises:
        ValueError: there are no images.
    """
    if len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)} must be at least one")
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        with watch(layers, see):
            for batch in images.split(_BATCH) if layers else ():
                model(batch)
    finally:
        for module in training:
            module.training = True


def fit_polynomials(seen: Moments, degree: int) -> Tensor:
    """Least-squares polynomial of each feature of each input on the data, of least norm.

    An input with few different values has many best polynomials; all agree on the data.

    Args:
        seen: of a layer.
        degree: 0 to ``LARGEST``.

    Returns:
        (I, degree + 1, K) float64 coefficients of Chebyshev polynomials in the scaled input.
    """
    terms = slice(degree + 1)
    inverse = torch.linalg.pinv(seen.gram[:, terms, terms], hermitian=True, rtol=_RANK)
    return inverse @ seen.gram[:, terms, LARGEST + 1 :]


def scaled(x: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """(N, I) from [low, high] to [-1, 1]; 0 where an input is constant."""
    span = high - low
    return torch.where(span > 0, 2 * (x - low) / span - 1, 0)


def chebyshev(u: Tensor, degree: int) -> Tensor:
    """T_0(u) .. T_degree(u): (N, I) -> (N, degree + 1, I)."""
    terms = [torch.ones_like(u), u]
    while len(terms) <= degree:
        terms.append(2 * u * terms[-1] - terms[-2])
    return torch.stack(terms[: degree + 1], dim=1)


def features(layer: nn.Module, x: Tensor) -> Tensor:
    """f_k(x_i) of a KAN, dense or activation layer: (N, ...) -> (N, K, I) float64.

    Those of a KAN layer with a layer norm depend on the other inputs of their row, too.
    """
    rows = _rows(layer, x)
    if isinstance(layer, KANLinear):
        if layer.norm is not None:
            return layer.features(rows).double()
        return edge_features(rows.double(), layer.basis, layer.base)
    if isinstance(layer, nn.Linear):
        return rows.unsqueeze(1).double()
    made = layer.forward(x).double()  # forward: without the hook
    if isinstance(layer, SharedFunctions):
        made = made.unflatten(layer.axis, (layer.functions, layer.features))
        return made.movedim(layer.axis - 1, 1).flatten(2)
    return made.flatten(1).unsqueeze(1)


def _rows(layer: nn.Module, x: Tensor) -> Tensor:
    """What enters a KAN or dense layer, which takes (..., I), or each node: (N, I)."""
    on_edges = isinstance(layer, KANLinear | nn.Linear)
    return x.reshape(-1, x.shape[-1]) if on_edges else x.flatten(1)
