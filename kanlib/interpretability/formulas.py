"""Whether edge functions are simple formulas: a f(b x + c) + d of a small library.

Ten numbers an edge fit many curves, and few different inputs make any curve simple; so the same fit
is made of splines fitted to noise, with the same features at the same inputs. What edges have above
these is theirs.

Shapes: P points, E functions, C candidates of a formula, k terms of one, K features of an input.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from numpy.polynomial import Polynomial
from torch import Tensor, nn

from kanlib.interpretability.edges import edge_variance, edge_weights
from kanlib.interpretability.moments import features, visit
from kanlib.nn.conv import KANConv
from kanlib.nn.linear import KANLinear
from kanlib.nn.shared import FunctionsLinear

DRAWS = 100  # edges of a layer that are looked at
POINTS = 200  # quantiles of its input that an edge is looked at
ALMOST = 0.01  # a formula as good as the best one, to that R^2, is preferred if it is simpler
SIMPLE = 0.99  # R^2 above which an edge is its formula
DIGITS = 4  # of numbers in a formula, for inputs that are as large as they are wide


@dataclass(frozen=True)
class Formula:
    """A simple formula for the function on one edge.

    Attributes:
        layer: the name of the edge's layer within the model; "" for the model itself.
        output: the node that the edge leads to.
        input: the node that it comes from. Of a convolution: its place on the last axis of
            ``weight``, which runs over channels of the group, then over offsets of the kernel.
        expression: of x, what enters the edge, as Python and sympy read it.
        r2: how much of the edge's variance the formula explains, in [0, 1]; 1 for a constant.
        spread: the standard deviation of the edge's function over the data, 0 if it was pruned.
    """

    layer: str
    output: int
    input: int
    expression: str
    r2: float
    spread: float


@dataclass(frozen=True)
class Simplicity:
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


class _Kind(NamedTuple):
    """Formulas a_1 f_1(b u + c) + .. + a_k f_k(b u + c) + d, for u in [-1, 1].

    Attributes:
        inner: (C, 2), candidates for b and c. The others are found by least squares.
        terms: f_1, .., f_k.
    """

    inner: Tensor
    terms: tuple[Callable[[Tensor], Tensor], ...]


def _library() -> dict[str, _Kind]:
    """The formulas by name, from the simplest on. The phase of a sine is linear in two terms."""
    steps = torch.arange(0.5, 12.6, 0.25, dtype=torch.float64)
    rates = torch.cat([steps[:24], -steps[:24]])
    steep = torch.tensor([1, 1.5, 2, 3, 4, 6, 8, 12, 16], dtype=torch.float64)
    centres = torch.linspace(-1.2, 1.2, 25, dtype=torch.float64)
    shifted = torch.cartesian_prod(steep, centres)
    shifted[:, 1] *= -shifted[:, 0]
    itself = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    powers = (lambda w: w, lambda w: w**2, lambda w: w**3)
    return {
        "linear": _Kind(itself, powers[:1]),
        "quadratic": _Kind(itself, powers[:2]),
        "exponential": _Kind(torch.stack([rates, -rates.abs()], dim=1), (torch.exp,)),
        "tanh": _Kind(shifted, (torch.tanh,)),
        "gaussian": _Kind(shifted, (lambda w: torch.exp(-(w**2)),)),
        "cubic": _Kind(itself, powers),
        "sine": _Kind(torch.stack([steps, 0 * steps], dim=1), (torch.sin, torch.cos)),
    }


LIBRARY = _library()


class _Fit(NamedTuple):
    """The best formula of one kind for each of E functions.

    Attributes:
        r2: (E,) in [0, 1]; 1 for a function that is constant.
        inner: (E, 2), p and q of f(p x + q).
        outer: (E, k), the factors of the terms.
        constant: (E,), what is added.
    """

    r2: Tensor
    inner: Tensor
    outer: Tensor
    constant: Tensor


def _fits(x: Tensor, values: Tensor) -> dict[str, _Fit]:
    """Each kind's least-squares fits to ``values`` (E, P) at ``x`` (P,), both float64."""
    low, high = x.aminmax()
    span = high - low if high > low else torch.ones_like(low)
    u = (2 * x - low - high) / span
    mean = values.mean(1, keepdim=True)
    y = values - mean
    total = y.square().sum(1)
    flat = total <= 1e-20 * values.square().sum(1)
    found = {}
    for name, (inner, functions) in LIBRARY.items():
        inner = inner.to(x.device)
        w = inner[:, :1] * u + inner[:, 1:]
        terms = torch.stack([function(w) for function in functions], dim=2)  # (C, P, k)
        middle = terms.mean(1, keepdim=True)
        terms = terms - middle
        size = terms.square().sum(1, keepdim=True).sqrt()
        terms = torch.where(size > 1e-12, terms / size.clamp(min=1e-12), 0)
        inverse = torch.linalg.pinv(terms.mT @ terms, hermitian=True, rtol=1e-10)  # (C, k, k)
        along = y @ terms  # (C, E, k)
        outer = along @ inverse
        explained, best = (outer * along).sum(2).max(0)
        outer = outer[best, torch.arange(len(y))] / size[best, 0].clamp(min=1e-12)
        slope, shift = inner[best].unbind(1)
        found[name] = _Fit(
            r2=torch.where(flat, 1, explained / total.clamp(min=1e-300)).clamp(0, 1),
            inner=torch.stack([2 * slope, shift * span - slope * (low + high)], dim=1) / span,
            outer=torch.where(flat[:, None], 0, outer),
            constant=mean[:, 0] - torch.where(flat, 0, (outer * middle[best, 0]).sum(1)),
        )
    return found


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
    return {name: fit.r2 for name, fit in _fits(points.double(), values.double()).items()}


@torch.no_grad()
def formulas(model: nn.Module, inputs: Tensor) -> list[Formula]:
    """A simple formula for each edge: the simplest that explains as much as the best, or almost.

    A formula is a line, a parabola, a cubic, or a f(b x + c) + d with exp, tanh, sin or
    exp(-x**2) as f; *almost* is a difference in R^2 of 0.01. For a table:
    ``pandas.DataFrame(formulas(model, inputs))``.

    Edges of an input are read at 200 of its quantiles. Those of a convolution have those of its
    channel, without the zeros of the padding.

    Args:
        model: with ``KANLinear``, ``SharedLinear``, ``RationalLinear`` or KAN convolutions in it,
            or one itself. It is called once, in eval mode.
        inputs: (N, ...) as ``model`` takes them, on its device; some thousand are enough.

    Returns:
        All edges: layers in the order of ``model.named_modules()``, then inputs, then outputs.

    Raises:
        ValueError: ``model`` has no such layer, or one with a layer norm, whose edges are functions
            of a whole row; or there are no inputs, or some that make infinite numbers in it.
    """
    kinds = (KANLinear, FunctionsLinear, KANConv)
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, kinds)}
    if not layers:
        raise ValueError(f"model={type(model).__name__} must have KAN layers")
    reached: dict[str, list[Tensor]] = {}
    for layer in layers.values():
        check_edges(layer)

    def see(name: str, layer: nn.Module, x: Tensor) -> None:
        """Keep what reaches a layer, (rows, inputs or channels)."""
        axis = -1 - layer.axes if isinstance(layer, KANConv) else -1
        reached.setdefault(name, []).append(x.movedim(axis, -1).reshape(-1, x.shape[axis]))

    visit(model, kinds, inputs, see)
    return [
        formula
        for name, layer in layers.items()
        if name in reached
        for formula in _of_layer(name, layer, torch.cat(reached[name]))
    ]


def check_edges(layer: nn.Module) -> None:
    """Refuse a layer whose edges are no functions of one input.

    Raises:
        ValueError: it has a layer norm.
    """
    if isinstance(layer, KANLinear) and layer.norm is not None:
        raise ValueError(
            f"layer={layer!r} must have no layer norm: edges then depend on whole rows"
        )


def _of_layer(
    name: str, layer: KANLinear | FunctionsLinear | KANConv, inputs: Tensor
) -> Iterator[Formula]:
    """The formulas of a layer's edges; ``inputs`` (N, inputs or channels) is what reaches it."""
    if not inputs.isfinite().all():
        raise ValueError(f"inputs that reach the layer {name!r} must be finite")
    points = _quantiles(inputs)
    values = layer.edge_functions(points).double()  # (P, O, edges of an output)
    rounding = torch.finfo(points.dtype).eps * values.abs().amax(0)
    values = torch.where(values.std(0) > rounding, values, values[:1])
    groups = layer.groups if isinstance(layer, KANConv) else 1
    seen = points.shape[1] // groups  # channels that an output sees
    by_channel = values.unflatten(2, (seen, -1)).unflatten(1, (groups, -1))
    for channel, x in enumerate(points.double().T):
        group, place = divmod(channel, seen)
        curves = by_channel[:, group, :, place]  # (P, O / groups, offsets)
        _, outputs, offsets = curves.shape
        flat = curves.flatten(1).T
        fits = _fits(x, flat)
        simplest = _simplest(torch.stack([fit.r2 for fit in fits.values()], dim=1)).tolist()
        spreads = flat.std(1, correction=0).tolist()
        for edge, (kind, spread) in enumerate(zip(simplest, spreads, strict=True)):
            chosen, fit = list(fits.items())[kind]
            output, offset = divmod(edge, offsets)
            yield Formula(
                layer=name,
                output=group * outputs + output,
                input=place * offsets + offset,
                expression=_written(chosen, _Fit(*(part[edge] for part in fit)), x),
                r2=float(fit.r2[edge]),
                spread=spread,
            )


def _written(kind: str, fit: _Fit, x: Tensor) -> str:
    """A fit to one function at ``x`` (P,) as text."""
    reach, span = float(x.abs().max()), float(x.max() - x.min())
    # Numbers must tell x from its neighbours.
    more = max(0, math.ceil(math.log10(reach / span))) if span else 0
    (p, q), d = fit.inner.tolist(), float(fit.constant)
    factors = fit.outer.tolist()
    if kind in ("linear", "quadratic", "cubic"):
        powers = Polynomial([d, *factors])(Polynomial([q, p])).coef.tolist()
        names = ["", "x", "x**2", "x**3"][: len(powers)]
        parts = [(a, name, reach**n) for n, (a, name) in enumerate(zip(powers, names, strict=True))]
        return _sum(parts[::-1], DIGITS + len(factors) * more)
    digits = DIGITS + more
    if kind == "sine":
        factors, q = [math.hypot(*factors)], (q + math.atan2(*factors[::-1])) % math.tau
    inner = _sum([(p, "x", reach), (q, "", 1)], digits)
    text = {"exponential": "exp({})", "tanh": "tanh({})", "gaussian": "exp(-({})**2)"}
    size = 1.0 if kind == "sine" else float(LIBRARY[kind].terms[0](p * x + q).abs().max())
    return _sum([(factors[0], text.get(kind, "sin({})").format(inner), size), (d, "", 1)], digits)


def _sum(parts: list[tuple[float, str, float]], digits: int) -> str:
    """What is left, once rounded, of factors, what they multiply, and how large that is at most."""
    least = 10.0**-digits * max(abs(factor) * size for factor, _, size in parts)
    text = ""
    for factor, name, size in parts:
        if abs(factor) * size > least:
            number = f"{abs(factor):.{digits}g}"
            text += (" - " if factor < 0 else " + ") + (f"{number}*{name}" if name else number)
    return text[:3].replace(" + ", "").replace(" - ", "-") + text[3:] or "0"


def _quantiles(inputs: Tensor) -> Tensor:
    """``POINTS`` quantiles of each column: (N, I) -> (P, I)."""
    places = (torch.arange(POINTS, dtype=torch.float64) + 0.5) / POINTS * len(inputs)
    return inputs.sort(0).values[places.long()]


def _simplest(r2: Tensor) -> Tensor:
    """Which formula is the simplest of the good ones: (E, formulas) -> (E,)."""
    return (r2 >= r2.amax(1, keepdim=True) - ALMOST).int().argmax(1)


def simplicity(layer: KANLinear, inputs: Tensor) -> Simplicity:
    """Simple formulas for ``DRAWS`` edges of a layer, and for splines fitted to noise.

    Edges and noise are drawn with seed 0.

    Args:
        layer: a KAN layer.
        inputs: (N, I) what reaches it.

    Raises:
        ValueError: no edge varies, or the layer has a layer norm.
    """
    check_edges(layer)
    points = _quantiles(inputs)  # (P, I)
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


def _summary(edges: Tensor, nulls: Tensor) -> Simplicity:
    """From the R^2 of every draw and formula, (draws, formulas) each."""
    names = list(LIBRARY)
    best, noise = edges.amax(1), nulls.amax(1)
    counts = Counter(names[place] for place in _simplest(edges).tolist())
    return Simplicity(
        line=float(edges[:, 0].mean()),
        explained=float(best.mean()),
        simple=float((best > SIMPLE).double().mean()),
        noise_line=float(nulls[:, 0].mean()),
        noise_explained=float(noise.mean()),
        noise_simple=float((noise > SIMPLE).double().mean()),
        names={name: counts[name] for name in names},
    )
