"""Where a layer's inputs lie on its grid, and the same layer on another grid.

An input beyond the extended grid sees no spline, but its base function alone. Whether that happens
in a model depends on its data: ``coverage`` counts it, and ``refine`` fits a layer on a longer or
finer grid.
"""

from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from kanlib.nn import splines
from kanlib.nn.bases import Basis, BSpline
from kanlib.nn.hooks import watch
from kanlib.nn.linear import KANLinear

REFINEMENTS = ("finer", "longer")


@dataclass(frozen=True)
class Coverage:
    """Where the inputs of a layer lie; the three fractions sum to 1.

    Attributes:
        inside: within ``grid_range``, where the B-splines sum to 1.
        fading: beyond it by less than k intervals, where only some of the splines are left.
        outside: further out, where there are none; NaN too.
    """

    inside: float
    fading: float
    outside: float


def coverage(model: nn.Module, inputs: Tensor) -> dict[str, Coverage]:
    """How much of what reaches each KAN layer lies on its grid.

    Args:
        model: with at least one ``KANLinear`` of B-splines; may be such a layer itself. It is
            called once, in the mode (train or eval) that it is in.
        inputs: a batch, as ``model`` takes it.

    Returns:
        Name of the layer within ``model`` ("" for the model itself) -> the shares of all numbers
        that entered it, in the order of ``model.named_modules()``.

    Raises:
        TypeError: ``model`` is no module.
        ValueError: there is no such layer, or none was reached by a number.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"coverage: model={model!r} must be an nn.Module")
    layers = {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, KANLinear) and isinstance(layer.basis, BSpline)
    }
    counts: dict[str, Tensor] = {}

    def count(name: str, layer: Any, x: Tensor) -> None:
        """Add the numbers of one call."""
        counts[name] = counts.get(name, 0) + _count(layer.basis, x)

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
            f"model={type(model).__name__}: no KANLinear of B-splines was reached by inputs of "
            f"shape {tuple(inputs.shape)}; must be at least one"
        )
    return found


def refine(
    layer: KANLinear, grid_size: int, grid_range: tuple[float, float] | None = None
) -> KANLinear:
    """The layer on another grid: its edge functions fitted by least squares, its scales kept.

    Grid extension of the KAN paper (Liu et al., arXiv 2404.19756, section 2.4). Within the old
    grid's range the function is the same, to rounding, if the new knots include the old ones:
    ``grid_size`` a multiple of the old one and the same range. It is the same everywhere if the new
    range is the old extended grid, lo - k h to hi + k h with intervals of width h, and
    ``grid_size`` a multiple of G + 2 k; then inputs beyond the old grid meet splines too, which
    training can use.

    Args:
        layer: of B-splines.
        grid_size: number of intervals of the new grid, >= 1.
        grid_range: its ends (lo, hi); None: the old ones.

    Returns:
        A new layer of the same dtype and mode, on the same device.

    Raises:
        TypeError: ``layer`` is no ``KANLinear``, or one with parametrizations.
        ValueError: the layer's basis is another, or the new grid is none.
    """
    if not isinstance(layer, KANLinear) or is_parametrized(layer):
        raise TypeError(f"refine: layer={layer!r} must be a KANLinear without parametrizations")
    if not isinstance(layer.basis, BSpline):
        raise ValueError(f"refine: the basis of layer, {layer.basis}, must be a BSpline")
    old = layer.basis
    new = replace(old, grid_size=grid_size, grid_range=grid_range or old.grid_range)
    points = torch.linspace(  # 2 (k + 1) an interval determine its polynomial, with some to spare
        *new.grid_range, 2 * (new.spline_order + 1) * grid_size + 1, dtype=torch.float64
    )[:, None]
    # Each old B-spline in terms of the new ones.
    change = splines.fit_coefficients(
        new.values(points).squeeze(-1).T, old.values(points).squeeze(-1)
    )  # (M, M of the old)
    refined: Any = nn.utils.skip_init(  # no draw from the global generator
        KANLinear,
        layer.in_features,
        layer.out_features,
        basis=new,
        base=layer.base,
        separate_scale=layer.spline_scale is not None,
        init_noise=layer.init_noise,
        device=layer.weight.device,
        dtype=layer.weight.dtype,
    )
    with torch.no_grad():
        coefficients = layer.weight[:, 1:].double()  # (O, M of the old, I)
        refined.weight[:, 0] = layer.weight[:, 0]
        refined.weight[:, 1:] = torch.einsum("mn,oni->omi", change.to(coefficients), coefficients)
        if layer.spline_scale is not None:
            refined.spline_scale.copy_(layer.spline_scale)
    for made, given in zip(refined.parameters(), layer.parameters(), strict=True):
        made.requires_grad_(given.requires_grad)
    return refined.train(layer.training)


def refine_model(model: nn.Module, how: str) -> None:
    """Put every KAN layer of ``model`` on another grid, in place.

    Args:
        model: with KAN layers of B-splines in it.
        how: "finer": twice the intervals; the model computes the same as before for inputs within
            the grid's range, beyond which the splines now fade out sooner. "longer": intervals as
            wide, over the whole extended grid, so that inputs just beyond the old one meet as many
            splines as those within; the model computes the same everywhere.

    Raises:
        ValueError: no such way, a layer has another basis, or ``model`` is itself the layer.
    """
    if how not in REFINEMENTS:
        raise ValueError(f"how={how!r} must be one of {', '.join(REFINEMENTS)}")
    if isinstance(model, KANLinear):
        raise ValueError(f"model={model} must have KAN layers in it; refine(layer, ..) is for one")
    refined: dict[KANLinear, KANLinear] = {}  # a layer that is used twice stays one
    for name, layer in list(model.named_modules(remove_duplicate=False)):
        if isinstance(layer, KANLinear):
            if layer not in refined:
                refined[layer] = refine(layer, *_new_grid(layer.basis, how))
            model.set_submodule(name, refined[layer])


def _new_grid(basis: Basis, how: str) -> tuple[int, tuple[float, float]]:
    """The number of intervals and the range that ``refine`` takes."""
    if not isinstance(basis, BSpline):
        raise ValueError(f"how={how!r}: the basis of each layer, {basis}, must be a BSpline")
    low, high = basis.grid_range
    if how == "finer":
        return 2 * basis.grid_size, (low, high)
    reach = basis.spline_order * (high - low) / basis.grid_size
    return basis.grid_size + 2 * basis.spline_order, (low - reach, high + reach)


def _count(basis: BSpline, x: Tensor) -> Tensor:
    """How many numbers lie inside the grid, beside it and beyond: (3,)."""
    low, high = basis.grid_range
    reach = basis.spline_order * (high - low) / basis.grid_size
    inside = ((x >= low) & (x <= high)).sum()
    near = ((x > low - reach) & (x < high + reach)).sum()
    return torch.stack([inside, near - inside, x.numel() - near])
