"""What the figures of one trained model need, as small arrays."""

import numpy as np
import torch
from torch import Tensor

from kanlib.data.datasets import Images
from kanlib.interpretability.analysis import Arrays
from kanlib.interpretability.edges import edge_polynomials, edge_spread, prune, strongest
from kanlib.interpretability.moments import Moments, chebyshev, scaled
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.linear import KANLinear
from kanlib.training.diagnostics import first_of_each_class

PICTURED = (1.0, 0.3, 0.1, 0.05)  # fractions of the edges whose reconstructions are kept
FEW = 0.1  # fraction of the edges in the pictures "after pruning"


def pruned_pictures(
    model: Autoencoder, seen: dict[str, Moments], scores: dict[str, Tensor], images: Images
) -> Arrays:
    """The first test image of each class, and what pruned models make of it.

    Args:
        model: trained.
        seen: its moments.
        scores: of its edges, as ``kanlib.interpretability.edges.edge_scores`` returns.
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
    layers: dict[str, KANLinear],
    seen: dict[str, Moments],
    reached: dict[str, Tensor],
    scores: dict[str, Tensor],
    images: Images,
) -> Arrays:
    """The edges of one pixel, and what each unit of the first layer looks at.

    Args:
        layers: the KAN layers of a model, in its order; pixels enter the first and leave the last.
        seen: the model's moments.
        reached: what reaches these layers, (N, I) each.
        scores: of the model's edges.
        images: the data.

    Returns:
        ``pixel``, the input of the first layer whose edges vary most, all units together;
        ``encoder_...`` (the edges from there) and ``decoder_...`` (the edges to it), a row an edge:
        points (E, P) from the 0.5 % to the 99.5 % quantile of the data, values and lines (E, P),
        the edges and their best lines; ``fields`` (O, C, H, W), the spread of each edge of the
        first layer with the sign of its best line's slope; ``fields_kept``, whether it is among
        the tenth of the model's edges that score highest.
    """
    first, *_, last = layers
    spread = edge_spread(layers[first], seen[first])[1]
    slopes = edge_polynomials(layers[first], seen[first], 1)[:, 1]
    pixel = int(spread.square().sum(0).argmax())
    ends = {"encoder": (first, (slice(None), pixel)), "decoder": (last, (pixel, slice(None)))}
    return {
        "pixel": np.array(pixel),
        **{
            f"{part}_{key}": curves[:, *chosen].T.float().numpy()
            for part, (name, chosen) in ends.items()
            for key, curves in _curves(layers[name], seen[name], reached[name]).items()
        },
        "fields": (spread * slopes.sign()).unflatten(1, images.shape).float().numpy(),
        "fields_kept": strongest(scores, FEW)[first].unflatten(1, images.shape).numpy(),
    }


def _curves(layer: KANLinear, seen: Moments, inputs: Tensor) -> dict[str, Tensor]:
    """All edges of a layer and their best lines at P points over the data, (P, O, I) each."""
    ends = np.quantile(inputs.double().numpy(), [0.005, 0.995], axis=0)
    points = torch.from_numpy(np.linspace(ends[0], ends[1], 101))  # (P, I)
    with torch.inference_mode():
        values = layer.edge_functions(points.to(layer.weight.dtype))  # (P, O, I)
    terms = chebyshev(scaled(points, seen.low, seen.high), 1)  # (P, 2, I)
    lines = torch.einsum("pdi,odi->poi", terms, edge_polynomials(layer, seen, 1))
    return {"points": points.unsqueeze(1).expand_as(values), "values": values, "lines": lines}
