"""Whether edge functions are simple formulas: a f(b x + c) + d of a small library.

Ten numbers an edge fit many curves, and few different inputs make any curve simple; so the same fit
is made of splines fitted to noise, with the same features at the same inputs. What edges have above
these is theirs.

Shapes: P points, E functions, C candidates of a formula, k terms of one, K features of an input.
"""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import Tensor

from kanlib.interpretability.edges import edge_variance, edge_weights
from kanlib.interpretability.moments import features
from kanlib.nn.linear import KANLinear

DRAWS = 100  # edges of a layer that are looked at
POINTS = 200  # quantiles of its input that an edge is looked at
ALMOST = 0.01  # a formula as good as the best one, to that R^2, is preferred if it is simpler
SIMPLE = 0.99  # R^2 above which an edge is its formula


@dataclass(frozen=True)
class Formulas:
    """How much of the edges' variance one formula an edge explains.

    Edges are drawn, with replacement, with probability proportional to their variance, so that
    plain means over the draws are weighted by it.

    Attributes:
        line: mean R^2 of the best line.
        explained: mean R^2 of the best formula.
        simple: fraction of the draws with R^2 > 0.99.
        noise_line: the same of splines fitted to noise at the same inputs; likewise the next two.
        noise_explained: see above.
        noise_simple: see above.
        names: formula -> how many draws it is the simplest good one for.
    """

    line: float
    explained: float
    simple: float
    noise_line: float
    noise_explained: float
    noise_simple: float
    names: dict[str, int]


def library(u: Tensor) -> dict[str, Tensor]:
    """The formulas, from the simplest on: name -> (C, P, k), terms without the constant.

    a and d, and the phase of the sine, are linear coefficients; b and c lie on a grid.

    Args:
        u: (P,) float64 in [-1, 1].
    """
    x = u[None, :, None]
    b = torch.arange(0.5, 12.6, 0.25, dtype=u.dtype)[:, None, None]
    steep = torch.tensor([1, 1.5, 2, 3, 4, 6, 8, 12, 16], dtype=u.dtype)
    centres = torch.linspace(-1.2, 1.2, 25, dtype=u.dtype)
    shifted = (steep[:, None, None] * (u - centres[:, None])).flatten(0, 1)[..., None]
    return {
        "linear": x,
        "quadratic": torch.cat([x, x**2], dim=2),
        "exponential": torch.cat([torch.exp(b[:24] * (x - 1)), torch.exp(-b[:24] * (x + 1))]),
        "tanh": torch.tanh(shifted),
        "gaussian": torch.exp(-(shifted**2)),
        "cubic": torch.cat([x, x**2, x**3], dim=2),
        "sine": torch.cat([torch.sin(b * x), torch.cos(b * x)], dim=2),
    }


def fit_formulas(points: Tensor, values: Tensor) -> dict[str, Tensor]:
    """R^2 of each formula's best least-squares fit.

    Args:
        points: (P,) where the functions are known, equally weighted: quantiles of the data.
        values: (E, P).

    Returns:
        Name -> (E,) in [0, 1]; 1 for a function that is constant at the points.

    Raises:
        ValueError: shapes that do not fit.
    """
    if points.ndim != 1 or values.ndim != 2 or values.shape[1] != len(points):
        raise ValueError(
            f"points of shape {tuple(points.shape)} and values of shape {tuple(values.shape)} "
            "must be (P,) and (E, P)"
        )
    x = points.double()
    span = x.max() - x.min()
    u = 2 * (x - x.min()) / span - 1 if span > 0 else torch.zeros_like(x)
    y = values.double()
    y = y - y.mean(1, keepdim=True)
    total = y.square().sum(1)
    constant = total <= 1e-20 * values.double().square().sum(1)
    found = {}
    for name, terms in library(u).items():
        terms = terms - terms.mean(1, keepdim=True)
        size = terms.square().sum(1, keepdim=True).sqrt()
        terms = torch.where(size > 1e-12, terms / size.clamp(min=1e-12), 0)
        inverse = torch.linalg.pinv(terms.mT @ terms, hermitian=True, rtol=1e-10)  # (C, k, k)
        along = y @ terms  # (C, E, k)
        explained = ((along @ inverse) * along).sum(2).amax(0)
        found[name] = torch.where(constant, 1, explained / total.clamp(min=1e-300)).clamp(0, 1)
    return found


def edge_formulas(layer: KANLinear, inputs: Tensor) -> Formulas:
    """Simple formulas for ``DRAWS`` edges of a layer, and for splines fitted to noise.

    Edges and noise are drawn with seed 0.

    Args:
        layer: a KAN layer.
        inputs: (N, I) what reaches it.

    Raises:
        ValueError: no edge varies, or the layer has a layer norm.
    """
    if layer.norm is not None:  # it would see sorted columns as rows
        raise ValueError(f"layer={layer!r} must have no layer norm")
    places = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS * len(inputs)
    points = inputs.sort(0).values[places.long()]  # (P, I)
    weight = edge_weights(layer)
    terms = features(layer, points)  # (P, K, I)
    centred = terms - terms.mean(0)
    covariance = torch.einsum("pki,pli->ikl", centred, centred) / POINTS
    variance = edge_variance(weight, covariance)
    if not variance.sum() > 1e-24 * weight.square().sum():
        raise ValueError(f"layer={layer!r}: no edge varies over inputs {tuple(inputs.shape)}")
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial(variance.flatten(), DRAWS, replacement=True, generator=generator)
    noise = torch.randn(DRAWS, POINTS, dtype=torch.float64, generator=generator)
    edges, nulls = [], []
    for edge, wave in zip(drawn.tolist(), noise, strict=True):
        output, i = divmod(edge, layer.in_features)
        design = terms[:, :, i]
        fitted = design @ (torch.linalg.pinv(design, rtol=1e-8) @ wave)
        both = torch.stack([design @ weight[output, :, i], fitted])
        scores = torch.stack(list(fit_formulas(points[:, i], both).values()))  # (formulas, 2)
        edges.append(scores[:, 0])
        nulls.append(scores[:, 1])
    return _summary(torch.stack(edges), torch.stack(nulls))


def _summary(edges: Tensor, nulls: Tensor) -> Formulas:
    """From the R^2 of every draw and formula, (draws, formulas) each."""
    names = list(library(torch.zeros(2, dtype=torch.float64)))
    best, noise = edges.amax(1), nulls.amax(1)
    first = (edges >= best[:, None] - ALMOST).int().argmax(1)  # the simplest of the good ones
    counts = Counter(names[place] for place in first.tolist())
    return Formulas(
        line=float(edges[:, 0].mean()),
        explained=float(best.mean()),
        simple=float((best > SIMPLE).double().mean()),
        noise_line=float(nulls[:, 0].mean()),
        noise_explained=float(noise.mean()),
        noise_simple=float((noise > SIMPLE).double().mean()),
        names={name: counts[name] for name in names},
    )
