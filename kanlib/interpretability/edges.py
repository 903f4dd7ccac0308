"""What the functions on the edges are worth: ablation, importance, sparsity, pruning.

Shapes: I inputs and O outputs of a layer, K features of each input.
"""

import copy
from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from kanlib.interpretability.moments import (
    ACTIVATIONS,
    LARGEST,
    LEARNED,
    Moments,
    chebyshev,
    fit_polynomials,
    moments,
    scaled,
)
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.features import scaled_weight
from kanlib.nn.layer import check_plain
from kanlib.nn.linear import KANLinear
from kanlib.nn.shared import SharedFunctions

_Model = TypeVar("_Model", bound=nn.Module)
DEGREES = {0: "constant", 1: "line", 2: "quadratic", 3: "cubic"}


def curved_layers(model: nn.Module) -> list[str]:
    """Names of the layers that make a model more than linear.

    Its KAN layers; without them, the learned functions on its nodes; without these, activations.
    """
    for kinds in ((KANLinear,), LEARNED, ACTIVATIONS):
        if names := [name for name, layer in model.named_modules() if isinstance(layer, kinds)]:
            return names
    return []


def ablate(
    model: Autoencoder, seen: Mapping[str, Moments], degree: int, part: str = ""
) -> Autoencoder:
    """A copy of ``model`` whose curved functions are replaced by their best polynomials.

    The functions are the edges of the KAN layers. In a model without, they are the learned
    functions of its units, or else their activations. Each is replaced by its least-squares
    polynomial on the data that reach it in ``model``. Beyond their range a line goes on, a
    polynomial of higher degree stays at its value at the end.

    Nothing is trained again, so the rise of the error is an upper bound on what the functions'
    shape is worth.

    Args:
        model: trained; unchanged.
        seen: what ``moments`` returned for it.
        degree: 0 (constant) to 3 (cubic).
        part: replace only layers whose name starts so, for example "encoder".

    Raises:
        ValueError: no such degree, or no curved layer in that part.
    """
    if degree not in DEGREES:
        raise ValueError(f"degree={degree!r} must be one of {', '.join(map(str, DEGREES))}")
    names = [name for name in curved_layers(model) if name.startswith(part)]
    if not names:
        raise ValueError(f"part={part!r}: {type(model).__name__} has no curved layer there")
    ablated = copy.deepcopy(model)
    for name in names:
        ablated.set_submodule(name, _Polynomials(model.get_submodule(name), seen[name], degree))
    return ablated


def edge_weights(layer: nn.Module) -> Tensor:
    """w_oki of a KAN layer, its scale multiplied in, or of a dense one: (O, K, I) float64.

    Raises:
        TypeError: ``layer`` is neither.
    """
    if not isinstance(layer, KANLinear | nn.Linear):
        raise TypeError(f"layer={layer!r} must be a KANLinear or nn.Linear")
    weight = layer.weight.detach().double()
    if isinstance(layer, nn.Linear):
        return weight.unsqueeze(1)
    scale = layer.spline_scale
    return scaled_weight(weight, None if scale is None else scale.detach().double())


def edge_polynomials(layer: nn.Module, seen: Moments, degree: int) -> Tensor:
    """Every edge's least-squares polynomial on the data (see ``kanlib.interpretability.moments``).

    Args:
        layer: a KAN or dense layer.
        seen: its moments.
        degree: 0 to 3.

    Returns:
        (O, degree + 1, I) float64 coefficients of Chebyshev polynomials in the scaled input.
    """
    return torch.einsum("oki,idk->odi", edge_weights(layer), fit_polynomials(seen, degree))


def edge_spread(layer: nn.Module, seen: Moments) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every edge's phi_oi over the data: (O, I) each, float64.

    The deviation is the edge's importance (as in pykan 0.2.8, arXiv 2408.10205, section 4); of a
    dense layer, |w_oi| times the deviation of input i.

    Args:
        layer: a KAN or dense layer.
        seen: its moments.
    """
    weight = edge_weights(layer)
    mean = seen.gram[:, 0, LARGEST + 1 :]  # (I, K): T_0 = 1
    covariance = seen.gram[:, LARGEST + 1 :, LARGEST + 1 :] - mean.unsqueeze(1) * mean[..., None]
    return torch.einsum("oki,ik->oi", weight, mean), edge_variance(weight, covariance).sqrt()


def edge_variance(weight: Tensor, covariance: Tensor) -> Tensor:
    """Variance of every edge: weights (O, K, I), features' covariance (I, K, K) -> (O, I) >= 0."""
    return (torch.einsum("oki,ikl->oli", weight, covariance) * weight).sum(1).clamp(min=0)


def entropy(values: Tensor) -> float:
    """-sum p log p, in nats, of the shares p = values / sum (arXiv 2404.19756, eq. 2.19).

    0 where one value has it all, log n for n equal ones; exp(entropy) is an effective number.

    Raises:
        ValueError: a value is negative or not finite, or all are 0.
    """
    shares = _shares(values)
    return float(torch.special.entr(shares).sum())


def gini(values: Tensor) -> float:
    """Gini index: the mean absolute difference of two values over twice their mean.

    0 for equal values, 1 - 1 / n where one of n has it all (Hurley & Rickard, arXiv 0811.4706).

    Raises:
        ValueError: a value is negative or not finite, or all are 0.
    """
    shares = _shares(values).sort().values
    ranks = torch.arange(1, len(shares) + 1, dtype=shares.dtype, device=shares.device)
    return float((2 * ranks - len(shares) - 1) @ shares / len(shares))


def edge_scores(
    model: nn.Module, seen: Mapping[str, Moments], rule: str = "spread"
) -> dict[str, Tensor]:
    """By what edges are ranked: name of each KAN or dense layer -> (O, I), larger is kept longer.

    Args:
        model: with such layers.
        seen: its moments.
        rule: "spread": the edge's share of its layer's spreads; shares, since a code may be
            doubled and its decoder halved without any change to the model. "size": |w|, as
            dense networks are pruned.

    Raises:
        ValueError: no such rule, or "size" for a KAN, whose edges have many weights.
    """
    layers = {name: model.get_submodule(name) for name in seen}
    layers = {n: layer for n, layer in layers.items() if isinstance(layer, KANLinear | nn.Linear)}
    if rule == "spread":
        spreads = {name: edge_spread(layer, seen[name])[1] for name, layer in layers.items()}
        return {name: spread / spread.sum().clamp(min=1e-300) for name, spread in spreads.items()}
    if rule != "size" or any(isinstance(layer, KANLinear) for layer in layers.values()):
        raise ValueError(f"rule={rule!r} must be 'spread', or, for dense layers alone, 'size'")
    return {name: edge_weights(layer)[:, 0].abs() for name, layer in layers.items()}


def strongest(scores: Mapping[str, Tensor], kept: float) -> dict[str, Tensor]:
    """Which edges to keep: True for the fraction ``kept`` of all that score highest.

    Args:
        scores: as ``edge_scores`` returns.
        kept: in [0, 1], of the edges of all layers together.

    Raises:
        ValueError: ``kept`` is out of range.
    """
    if not 0 <= kept <= 1:
        raise ValueError(f"kept={kept!r} must be between 0 and 1")
    values = torch.cat([score.flatten() for score in scores.values()])
    mask = torch.zeros_like(values, dtype=torch.bool)
    mask[values.topk(round(kept * len(values))).indices] = True
    parts = mask.split([score.numel() for score in scores.values()])
    return {n: part.view_as(scores[n]) for n, part in zip(scores, parts, strict=True)}


def prune(model: _Model, inputs: Tensor, keep: float) -> _Model:
    """A copy of ``model`` without those edges that vary least; nothing is trained again.

    Edges of all its ``KANLinear`` and ``nn.Linear`` layers are ranked together, each by its share
    of the spreads of its layer (see ``edge_spread``). A removed one becomes 0, and its mean goes
    into the bias of its layer. Edges of convolutions stay, for each of them serves many places.

    To train on and keep removed edges at 0, hand ``layer.weight != 0`` of each layer to torch's
    ``prune.custom_from_mask``.

    Args:
        model: with such layers, or one itself; trained, and unchanged.
        inputs: (N, ...) as ``model`` takes them: the training data.
        keep: the share of edges that stay, in [0, 1].

    Raises:
        TypeError: a layer is pruned already, or has a weight norm or another parametrization.
        ValueError: ``keep`` is out of range, ``model`` has no such layer, or there are no inputs,
            or some that make numbers in it infinite.
    """
    seen = moments(model, inputs)
    scores = edge_scores(model, seen)
    if not scores:
        raise ValueError(f"model={type(model).__name__} must have KANLinear or nn.Linear layers")
    if not all(score.isfinite().all() for score in scores.values()):
        raise ValueError(f"inputs of shape {tuple(inputs.shape)} must make finite numbers in model")
    return remove_edges(model, seen, strongest(scores, keep))


def remove_edges(model: _Model, seen: Mapping[str, Moments], kept: Mapping[str, Tensor]) -> _Model:
    """A copy of ``model`` without some of its edges; nothing is trained again.

    A removed edge is replaced by its mean over the data, the constant nearest to it: else pruning
    would be charged for a shift that a bias undoes.

    Args:
        model: trained; unchanged.
        seen: its moments.
        kept: name of a layer -> (O, I), True for the edges that stay; as ``strongest`` returns.

    Raises:
        TypeError: a layer is pruned already, or has a weight norm or another parametrization.
    """
    for name in kept:
        check_plain("prune", model.get_submodule(name))
    pruned = copy.deepcopy(model)
    for name, mask in kept.items():
        layer: Any = pruned.get_submodule(name)
        shift = (edge_spread(layer, seen[name])[0] * ~mask).sum(1).to(layer.weight.dtype)
        with torch.no_grad():
            layer.weight *= mask if isinstance(layer, nn.Linear) else mask.unsqueeze(1)
        if not mask.all():
            bias = shift if layer.bias is None else layer.bias.detach() + shift
            layer.bias = nn.Parameter(bias)
    return pruned


class _Polynomials(nn.Module):
    """sum_i p_oi(x_i), or p_i(x_i) number by number: what stands in for a curved layer."""

    low: Tensor
    high: Tensor
    fitted: Tensor

    def __init__(self, layer: nn.Module, seen: Moments, degree: int) -> None:
        super().__init__()
        edges = isinstance(layer, KANLinear)
        # (O, d + 1, I), or (I, d + 1, K)
        fitted = edge_polynomials(layer, seen, degree) if edges else fit_polynomials(seen, degree)
        self.degree, self.edges, self.bias = degree, edges, layer.bias if edges else None
        self.axis = layer.axis if isinstance(layer, SharedFunctions) else -1
        for name, value in (("low", seen.low), ("high", seen.high), ("fitted", fitted)):
            self.register_buffer(name, value)

    def forward(self, x: Tensor) -> Tensor:
        """As the layer replaced: (..., I) -> (..., O), or K numbers in the place of each."""
        rows = x.reshape(-1, x.shape[-1]) if self.edges else x.flatten(1)
        place = scaled(rows.double(), self.low, self.high)
        if self.degree > 1:  # a cubic runs away where a test pixel is brighter than any before
            place = place.clamp(-1, 1)
        terms = chebyshev(place, self.degree)
        if not self.edges:
            made = torch.einsum("ndi,idk->nki", terms, self.fitted).unflatten(2, x.shape[1:])
            beside = self.axis - 1  # the functions of a node stand beside the nodes
            return made.movedim(1, beside).flatten(beside, self.axis).to(x.dtype)
        y = (terms.flatten(1) @ self.fitted.flatten(1).T).to(x.dtype)
        return (y if self.bias is None else y + self.bias).view(*x.shape[:-1], -1)


def _shares(values: Tensor) -> Tensor:
    values = values.double().flatten()
    if not (values.isfinite().all() and (values >= 0).all() and values.sum() > 0):
        raise ValueError(
            f"values of shape {tuple(values.shape)} must be finite and >= 0, not all of them 0"
        )
    return values / values.sum()
