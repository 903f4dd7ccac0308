"""What the figures of one trained model need, as small arrays."""

import numpy as np
import torch
from torch import Tensor

from kanlib.interpretability.analysis import Arrays
from kanlib.interpretability.edges import edge_polynomials, edge_spread
from kanlib.interpretability.moments import Moments, chebyshev, scaled
from kanlib.nn.linear import KANLinear


def edge_pictures(
    layers: dict[str, KANLinear],
    seen: dict[str, Moments],
    reached: dict[str, Tensor],
) -> Arrays:
    """The edges of one pixel: to the units of the first layer, and from those of the last.

    Args:
        layers: the KAN layers of a model, in its order; pixels enter the first and leave the last.
        seen: the model's moments.
        reached: what reaches these layers, (N, I) each.

    Returns:
        ``pixel``, the input of the first layer whose edges vary most, all units together;
        ``encoder_...`` (the edges from there) and ``decoder_...`` (the edges to it), a row an edge:
        points (E, P) from the 0.5 % to the 99.5 % quantile of the data, values and lines (E, P),
        the edges and their best lines.
    """
    first, *_, last = layers
    spread = edge_spread(layers[first], seen[first])[1]
    pixel = int(spread.square().sum(0).argmax())
    ends = {"encoder": (first, (slice(None), pixel)), "decoder": (last, (pixel, slice(None)))}
    return {
        "pixel": np.array(pixel),
        **{
            f"{part}_{key}": curves[:, *chosen].T.float().numpy()
            for part, (name, chosen) in ends.items()
            for key, curves in _curves(layers[name], seen[name], reached[name]).items()
        },
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
