"""Where the inputs of a layer lie on its grid, and how to move the layer to another grid.

Far beyond the grid all splines are 0, and an edge has only its base function left. Whether inputs
get there depends on the data. ``coverage`` counts them, ``update_grids`` moves the grid to them,
and ``refine`` fits the layer on a longer or a finer grid.
"""

import copy
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import torch
from torch import Tensor, nn

from kanlib.nn import splines
from kanlib.nn.bases import BSpline
from kanlib.nn.conv import KANConv
from kanlib.nn.hooks import watch
from kanlib.nn.layer import check_plain
from kanlib.nn.linear import KANLinear
from kanlib.nn.own_grids import OwnKnots, OwnRange

Refinement = Literal["finer", "longer"]
GridUpdate = Literal["range", "knots"]
GRID_EPS: dict[GridUpdate, float] = {"range": 1.0, "knots": 0.02}  # for ``update_grids``
Layer = KANLinear | KANConv  # the KAN layers
_Layer = TypeVar("_Layer", bound=Layer)


@dataclass(frozen=True)
class Coverage:
    """Where the inputs of a layer lie: three shares, which sum to 1.

    Attributes:
        inside: within ``grid_range``, where the B-splines sum to 1.
        fading: beyond it by less than k intervals, where the B-splines fade out.
        outside: further out, where all B-splines are 0; also NaN.
    """

    inside: float
    fading: float
    outside: float


def coverage(model: nn.Module, inputs: Tensor) -> dict[str, Coverage]:
    """How many of the numbers that enter each KAN layer lie on its grid.

    Args:
        model: holds at least one KAN layer with B-splines, or is one itself. It is called once,
            in the mode (train or eval) that it is in.
        inputs: a batch, as ``model`` takes it.

    Returns:
        By name of the layer within ``model`` ("" for the model itself): the shares of all numbers
        that entered it. In the order of ``model.named_modules()``.

    Raises:
        ValueError: there is no such layer, or no number reached one.

    Examples:
        >>> import torch
        >>> from kanlib import KANLinear, coverage
        >>> coverage(KANLinear(2, 1), torch.tensor([[0.0, 9.0]]))
        {'': Coverage(inside=0.5, fading=0.0, outside=0.5)}
    """
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, Layer) and hasattr(layer.basis, "support")
    }
    counts: dict[str, Tensor] = {}

    def count(name: str, layer: Any, x: Tensor) -> None:
        """Add the counts of one call."""
        norm = getattr(layer, "norm", None)  # convolutions have none
        met = x if norm is None else norm(x)
        counts[name] = counts.get(name, 0) + _count(layer.basis, met)

    with torch.inference_mode(), watch(layers, count):
        model(inputs)
    totals = {name: counts[name].tolist() for name in layers if name in counts}
    found = {
        name: Coverage(*(n / sum(total) for n in total))
        for name, total in totals.items()
        if sum(total)
    }
    if not found:
        raise ValueError(
            f"model={type(model).__name__}: no KAN layer of B-splines was reached by inputs of "
            f"shape {tuple(inputs.shape)}; must be at least one"
        )
    return found


def update_grids(
    model: nn.Module, inputs: Tensor, grid_eps: float = 1.0, margin: float = 0.01
) -> None:
    """Give every KAN layer in ``model`` a grid that follows what enters it, in place.

    From the first layer to the last, each sees what the layers before it now compute.

    Args:
        model: with KAN layers in it, or one itself. It is called once, in the mode that it is in.
        inputs: a batch, as ``model`` takes it.
        grid_eps: as in ``KANLinear.update_grid``.
        margin: likewise.

    Raises:
        TypeError: a layer is pruned, or has a weight norm or another parametrization.
        ValueError: an argument is out of range, a layer's basis has no such grid, layers share
            their weight, or the model has KAN convolutions or no KAN layer.

    Examples:
        >>> import torch
        >>> from kanlib import KAN, coverage, update_grids
        >>> model, x = KAN([2, 3, 1]), 9 * torch.rand(100, 2)
        >>> update_grids(model, x)
        >>> coverage(model, x)["0"].inside
        1.0
    """
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, Layer)}
    if not layers or any(isinstance(layer, KANConv) for layer in layers.values()):
        raise ValueError(
            f"model={type(model).__name__}: must have KANLinear layers, and no KAN convolutions, "
            "which take no grid of their own"
        )
    if len({layer.weight for layer in layers.values()}) < len(layers):
        raise ValueError(
            f"model={type(model).__name__}: layers that share a weight cannot each have a grid"
        )

    def update(_: str, layer: Any, x: Tensor) -> None:
        """Before the layer computes."""
        layer.update_grid(x, grid_eps, margin)

    with torch.no_grad(), watch(layers, update):
        model(inputs)


def refine(layer: _Layer, grid_size: int, grid_range: tuple[float, float] | None = None) -> _Layer:
    """A copy of the layer on another grid: its functions are fitted there by least squares.

    This is the grid extension of the KAN paper (Liu et al., arXiv 2404.19756, section 2.4). To
    rounding, the functions stay the same in two cases.

    - On the range of the old grid, if ``grid_size`` is a multiple of the old one and the range is
      the same. The new knots then include the old ones.
    - Everywhere, if the range is ``BSpline.support``, lo - k h to hi + k h with intervals of width
      h, and ``grid_size`` is a multiple of G + 2 k. Inputs beyond the old grid then meet splines
      that training can use.

    Args:
        layer: with B-splines.
        grid_size: the number of intervals of the new grid, >= 1.
        grid_range: the ends (lo, hi) of the new grid. None: those of the old grid. Where each input
            has its own range, it is stretched as (lo, hi) is from the range of the basis.

    Returns:
        A new layer of the same class, dtype and mode, on the same device, with the same scales and
        hooks.

    Raises:
        TypeError: the layer is pruned, or has a weight norm or another parametrization.
        ValueError: the layer has another basis or knots for each input, or an argument is out of
            range.

    Examples:
        >>> from kanlib import KANLinear, refine
        >>> refine(KANLinear(2, 1), grid_size=10).basis
        BSpline(grid_size=10, spline_order=3, grid_range=(-1.0, 1.0))
    """
    _check(layer)
    new = replace(_splines_of(layer), grid_size=grid_size)
    new = new if grid_range is None else replace(new, grid_range=grid_range)
    refined = copy.deepcopy(layer)
    refined.weight = _moved(refined, new)
    _put(refined, new)
    return refined


def _moved(layer: Layer, new: BSpline) -> nn.Parameter:
    """The weight of the layer on another grid."""
    old = _splines_of(layer)
    # On each interval k + 1 points determine the polynomial. Twice as many are taken.
    count = 2 * (new.spline_order + 1) * new.grid_size + 1
    points = torch.linspace(*new.grid_range, count, dtype=torch.float64, device="cpu")[:, None]
    # Each old B-spline in terms of the new ones.
    change = splines.fit_coefficients(
        new.values(points).squeeze(-1).T, old.values(points).squeeze(-1)
    )  # (M, M of the old)
    weight = layer.weight.detach()
    place = splines.with_float64(weight.device)
    coefficients = weight[:, 1:].to(place).double()  # (O, M of the old, I)
    moved = torch.einsum("mn,oni->omi", change.to(place), coefficients)
    moved = moved.to(weight.dtype).to(weight.device)
    return nn.Parameter(torch.cat([weight[:, :1], moved], 1), layer.weight.requires_grad)


def _put(layer: Any, new: BSpline) -> None:
    """The layer on another grid, for which its weight was made."""
    if isinstance(layer.basis, OwnRange):
        layer.grid = layer.basis.outer(new.grid_range)
    layer.basis = new
    layer.zero_grad()


def refine_model(model: nn.Module, how: Refinement) -> None:
    """Put every KAN layer in ``model`` on another grid, in place.

    Args:
        model: has KAN layers with B-splines in it.
        how: "finer" doubles the number of intervals. The model computes the same for inputs on the
            grid; beyond it the splines now fade out sooner. "longer" adds k intervals of the same
            width at each end, so that inputs just beyond the old grid meet as many splines as those
            on it. The model computes the same everywhere.

    Raises:
        TypeError: a layer is pruned, or has a weight norm or another parametrization.
        ValueError: ``how`` is neither, a layer has another basis, or layers share a weight but not
            their basis.

    Examples:
        >>> from kanlib import KAN
        >>> from kanlib.nn import refine_model
        >>> model = KAN([2, 1])
        >>> refine_model(model, "longer")
        >>> model[0].basis
        BSpline(grid_size=11, spline_order=3, grid_range=(-2.2, 2.2))
    """
    if how not in get_args(Refinement):
        raise ValueError(f"how={how!r} must be one of {', '.join(get_args(Refinement))}")
    layers = [layer for layer in model.modules() if isinstance(layer, Layer)]
    bases: dict[nn.Parameter, BSpline] = {}  # layers that share a weight go on sharing it
    for layer in layers:
        _check(layer)
        if bases.setdefault(layer.weight, _splines_of(layer)) != _splines_of(layer):
            raise ValueError(f"basis={layer.basis} must be that of the layer with the same weight")
    weights: dict[nn.Parameter, nn.Parameter] = {}
    for layer in layers:
        basis, old = bases[layer.weight], layer.weight
        new = replace(basis, grid_size=2 * basis.grid_size)
        if how == "longer":
            size = basis.grid_size + 2 * basis.spline_order
            new = replace(basis, grid_size=size, grid_range=basis.support)
        if old not in weights:
            weights[old] = _moved(layer, new)
        layer.weight = weights[old]
        _put(layer, new)


def _check(layer: Layer) -> None:
    """Refuse a layer that cannot be refined."""
    check_plain("refine", layer)
    _splines_of(layer)


def _splines_of(layer: Layer) -> BSpline:
    basis = layer.basis.basis if isinstance(layer.basis, OwnRange) else layer.basis
    if not isinstance(basis, BSpline):
        raise ValueError(f"basis={basis} of the layer must be a BSpline to be refined")
    return basis


def _count(basis: BSpline | OwnRange | OwnKnots, x: Tensor) -> Tensor:
    """How many numbers lie inside the grid, where it fades out, and outside: (3,)."""
    (low, high), (first, last) = basis.grid_range, basis.support
    inside = ((x >= low) & (x <= high)).sum()
    near = ((x > first) & (x < last)).sum()
    return torch.stack([inside, near - inside, x.numel() - near])
