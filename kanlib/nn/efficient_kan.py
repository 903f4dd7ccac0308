"""Layers from the weights of efficient-kan (github.com/Blealtan/efficient-kan)."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn.bases import BSpline
from kanlib.nn.linear import KANLinear


def from_efficient_kan(
    state_dict: Mapping[str, Tensor], base: str = "silu"
) -> KANLinear | nn.Sequential:
    """What computes the same as an efficient-kan ``KANLinear``, or ``KAN``, with these weights.

    Args:
        state_dict: of one efficient-kan layer: ``base_weight`` (O, I), ``spline_weight``
            (O, I, G + k), ``grid`` (I, G + 2k + 1). If the layer was trained with a scale, also
            ``spline_scaler`` (O, I), which becomes ``spline_scale``. Or of a whole ``KAN``, whose
            names begin with ``layers.0.``, ``layers.1.`` and so on.
        base: the base activation, "silu" or "identity".

    Returns:
        A layer, or the layers of the ``KAN`` in a row, with equal outputs and gradients, on the
        device and in the dtype of the weights. After ``update_grid`` the grid of a layer differs
        by input; then ``KANLinear.grid`` holds it.

    Raises:
        ValueError: ``base`` is neither. A tensor is missing, unknown or of the wrong shape. The
            knots of a grid do not ascend.
        TypeError: ``state_dict`` is no mapping, but a model, say.

    Examples:
        >>> import torch
        >>> from kanlib import from_efficient_kan
        >>> grid = (torch.arange(-5, 6) / 2).repeat(7, 1)
        >>> weights = {"base_weight": torch.rand(2, 7), "spline_weight": torch.rand(2, 7, 7)}
        >>> from_efficient_kan({"grid": grid, **weights}).basis
        BSpline(grid_size=4, spline_order=3, grid_range=(-1.0, 1.0))
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(
            f"from_efficient_kan: state_dict of type {type(state_dict).__name__} must map names to "
            "tensors, as model.state_dict() does"
        )
    if not any(name.startswith("layers.") for name in state_dict):
        return _layer(state_dict, base)
    layers: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state_dict.items():
        place, _, own = name.removeprefix("layers.").partition(".")
        layers.setdefault(place, {})[own] = tensor
    places = [str(place) for place in range(len(layers))]
    if set(layers) != set(places):
        raise ValueError(
            f"from_efficient_kan: state_dict has {sorted(state_dict)}; it must hold layers.0, "
            "layers.1 and so on, and nothing else"
        )
    return nn.Sequential(*(_layer(layers[place], base) for place in places))


def _layer(state_dict: Mapping[str, Tensor], base: str) -> KANLinear:
    """From the tensors of one layer."""
    _check_tensors(state_dict)
    if base == "zero":  # its weights would be lost
        raise ValueError("from_efficient_kan: base='zero' must be 'silu' or 'identity'")
    weight, scaler = state_dict["spline_weight"], state_dict.get("spline_scaler")
    out_features, in_features, size = weight.shape
    basis, grid = _basis_and_grid(state_dict["grid"], size)
    layer: Any = nn.utils.skip_init(  # no draw from the global generator
        KANLinear,
        in_features,
        out_features,
        basis=basis,
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
    layer.grid = None if grid is None else grid.to(weight, copy=True)
    return layer


def _check_tensors(state_dict: Mapping[str, Tensor]) -> None:
    """Refuse anything but the tensors of one layer, with shapes that fit each other."""
    required = {"base_weight", "spline_weight", "grid"}
    if not required <= set(state_dict) <= required | {"spline_scaler"}:
        raise ValueError(
            f"from_efficient_kan: state_dict has {sorted(state_dict)}; it must hold "
            f"{sorted(required)} of one layer, and may hold spline_scaler; names of a whole KAN "
            "begin with layers.0., without a prefix such as module."
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


def _basis_and_grid(grid: Tensor, size: int) -> tuple[BSpline, Tensor | None]:
    """The basis that has the rows of ``grid`` as its knots, and the grid of a layer if they differ.

    Where the knots of a row are uniform, the closed form computes them.
    """
    knots = grid.detach().double()
    order = knots.shape[1] - 1 - size
    ends = knots[:, [order, size]]
    low, high = ends[:, :1], ends[:, 1:]
    if not ((knots.diff(dim=1) >= 0).all() and (low < high).all()):
        raise ValueError(
            f"from_efficient_kan: grid={grid} must have knots that ascend along each row"
        )
    steps = torch.arange(-order, size + 1, device=knots.device) / (size - order)
    # Rounding moves knots, too: they are made in float32, and may have been stored in bfloat16.
    eps = max(torch.finfo(dtype).eps for dtype in (torch.float32, grid.dtype))
    rounding = 4 * eps * knots.abs().amax(1, keepdim=True)
    if ((knots - (low + steps * (high - low))).abs() > rounding).any():
        return BSpline(size - order, order), grid
    if ((ends - ends[0]).abs() > rounding).any():
        return BSpline(size - order, order), ends
    return BSpline(size - order, order, (low[0].item(), high[0].item())), None
