"""``KANLinear`` from the weights of efficient-kan (github.com/Blealtan/efficient-kan)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn import splines
from kanlib.nn.bases import BSpline
from kanlib.nn.linear import KANLinear


def from_efficient_kan(state_dict: Mapping[str, Tensor], base: str = "silu") -> KANLinear:
    """A layer that computes the same as an efficient-kan ``KANLinear`` with these weights.

    Args:
        state_dict: of one efficient-kan layer: ``base_weight`` (O, I), ``spline_weight``
            (O, I, G + k), ``grid`` (I, G + 2k + 1). If the layer was trained with a scale, also
            ``spline_scaler`` (O, I), which becomes ``spline_scale``.
        base: the base activation of that layer, "silu" or "identity".

    Returns:
        A layer with equal outputs and gradients, on the device and in the dtype of the weights.

    Raises:
        ValueError: ``base`` is neither. A tensor is missing, unknown or of the wrong shape. The
            grid is not uniform, as after ``update_grid``, or not the same for all inputs.
    """
    _check_tensors(state_dict)
    if base == "zero":  # its weights would be lost
        raise ValueError("from_efficient_kan: base='zero' must be 'silu' or 'identity'")
    weight, grid = state_dict["spline_weight"], state_dict["grid"]
    scaler = state_dict.get("spline_scaler")
    out_features, in_features, size = weight.shape
    order = grid.shape[1] - 1 - size
    layer: Any = nn.utils.skip_init(  # no draw from the global generator
        KANLinear,
        in_features,
        out_features,
        basis=_uniform_basis(grid, size, order),
        base=base,
        separate_scale=scaler is not None,
        device=weight.device,
        dtype=weight.dtype,
    )
    with torch.no_grad():
        layer.weight[:, 0] = state_dict["base_weight"]
        layer.weight[:, 1:] = weight.transpose(1, 2)
        if scaler is not None:
            layer.spline_scale.copy_(scaler)
    return layer


def _check_tensors(state_dict: Mapping[str, Tensor]) -> None:
    """Refuse anything but the tensors of one layer, with shapes that fit each other."""
    required = {"base_weight", "spline_weight", "grid"}
    if not required <= set(state_dict) <= required | {"spline_scaler"}:
        raise ValueError(
            f"from_efficient_kan: state_dict has {sorted(state_dict)}; it must hold "
            f"{sorted(required)} of one layer, and may hold spline_scaler"
        )
    shapes = {name: tuple(tensor.shape) for name, tensor in state_dict.items()}
    (outputs, inputs, size), (_, knots) = (  # nonsense in the place of what has other axes
        shape if len(shape) == axes else (0,) * axes
        for shape, axes in ((shapes["spline_weight"], 3), (shapes["grid"], 2))
    )
    fitting = {"base_weight": (outputs, inputs), "spline_weight": (outputs, inputs, size)}
    fitting |= {"spline_scaler": (outputs, inputs), "grid": (inputs, knots)}
    order = knots - 1 - size
    if 0 in (outputs, inputs) or not 1 <= order < size or shapes != {n: fitting[n] for n in shapes}:
        raise ValueError(
            f"from_efficient_kan: state_dict has shapes {shapes}; they must be base_weight and "
            "spline_scaler (O, I), spline_weight (O, I, G + k), grid (I, G + 2k + 1), G and k >= 1"
        )


def _uniform_basis(grid: Tensor, size: int, order: int) -> BSpline:
    """The basis that has each row of ``grid`` as its knots; an error if there is none."""
    knots = grid[0].double()
    ends = (knots[order].item(), knots[size].item())
    basis = BSpline(size - order, order, ends)
    uniform = splines.uniform_knots(basis.grid_size, order, ends).to(knots.device)
    error = (grid.double() - uniform).abs().max().item()
    step = (ends[1] - ends[0]) / basis.grid_size
    # Rounding moves knots too, if the grid is fine, far from 0 or stored in bfloat16.
    rounding = 4 * torch.finfo(grid.dtype).eps * knots.abs().max().item()
    if not error < max(1e-4 * step, rounding):
        raise ValueError(
            f"from_efficient_kan: grid must be uniform and the same for all inputs, as before "
            f"update_grid; a knot is {error:.3g} away from its place, with knots {step:.3g} apart"
        )
    return basis
