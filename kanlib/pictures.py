"""What the figures of interpretability need of a model, small enough to be kept.

Needs ``interpretability.py``. ``portraits.py`` draws it.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.autoencoders import Autoencoder
from kanlib.data import Images
from kanlib.evaluation import first_of_each_class
from kanlib.interpretability import edge_polynomials, edge_spread, prune, strongest
from kanlib.layers import KANLinear
from kanlib.moments import Moments, chebyshev, scaled

PICTURED = (1.0, 0.3, 0.1, 0.05)  # fractions of the edges whose reconstructions are kept
FEW = 0.1  # fraction of the edges in the pictures "after pruning"

Arrays = dict[str, NDArray[Any]]


def pruned_pictures(
    model: Autoencoder, seen: dict[str, Moments], scores: dict[str, Tensor], images: Images
) -> Arrays:
    """The first test image of each class, and what pruned models make of it.

    Args:
        model: trained.
        seen: its moments.
        scores: of its edges, as ``kanlib.interpretability.edge_scores`` returns.
        images: the data.

    Returns:
        ``originals`` (classes, C, H, W), ``reconstructions`` (pruned models, classes, C, H, W):
        one model for each fraction in ``PICTURED``.
    """
    shown = first_of_each_class(images.test)
    with torch.inference_mode():
        made = [prune(model, seen, strongest(scores, kept))(shown) for kept in PICTURED]
    return {
        "originals": shown.half().numpy(),
        "reconstructions": torch.stack(made).half().numpy(),
    }


def edge_pictures(
    model: Autoencoder,
    seen: dict[str, Moments],
    reached: dict[str, Tensor],
    kept: dict[str, Tensor],
    images: Images,
) -> Arrays:
    """What the figures need of the edges of one pixel, and of the first layer.

    Args:
        model: whose first and last layers are KAN layers.
        seen: its moments.
        reached: what reaches its KAN layers.
        kept: which edges are left when a tenth is.
        images: the data.

    Returns:
        ``pixel``, the input of the first layer whose edges vary most, all units together;
        ``encoder_...`` (the edges from there) and ``decoder_...`` (the edges to it), a row an edge:
        points (E, P) from the 0.5 % to the 99.5 % quantile of the data, values and lines (E, P),
        the edges and their best lines; ``fields`` (O, C, H, W), the spread of each edge of the
        first layer with the sign of its best line's slope; ``fields_kept``, whether it is left.
    """
    first, *_, last = reached
    spread = edge_spread(model.get_submodule(first), seen[first])[1]
    slopes = edge_polynomials(model.get_submodule(first), seen[first], 1)[:, 1]
    pixel = int(spread.square().sum(0).argmax())
    return {
        "pixel": np.array(pixel),
        **_edges_of("encoder", model.get_submodule(first), seen[first], reached[first], i=pixel),
        **_edges_of("decoder", model.get_submodule(last), seen[last], reached[last], o=pixel),
        "fields": (spread * slopes.sign()).unflatten(1, images.shape).float().numpy(),
        "fields_kept": kept[first].unflatten(1, images.shape).numpy(),
    }


def _edges_of(
    name: str,
    layer: nn.Module,
    seen: Moments,
    inputs: Tensor,
    i: int | slice = slice(None),
    o: int | slice = slice(None),
) -> Arrays:
    """The edges from one input, or to one output, of a layer: see ``edge_pictures``."""
    assert isinstance(layer, KANLinear)
    ends = np.quantile(inputs.double().numpy(), [0.005, 0.995], axis=0)
    points = torch.from_numpy(np.linspace(ends[0], ends[1], 101))  # (P, I)
    with torch.inference_mode():
        values = layer.edge_functions(points.to(layer.weight.dtype))  # (P, O, I)
    terms = chebyshev(scaled(points, seen.low, seen.high), 1)  # (P, 2, I)
    lines = torch.einsum("pdi,odi->poi", terms, edge_polynomials(layer, seen, 1))
    chosen = {
        "points": points.unsqueeze(1).expand_as(values)[:, o, i].T,
        "values": values[:, o, i].T,
        "lines": lines[:, o, i].T,
    }
    return {f"{name}_{key}": array.float().numpy() for key, array in chosen.items()}
