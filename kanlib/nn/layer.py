"""What layers that learn functions of a basis have in common: a state that names them."""

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn import splines
from kanlib.nn.bases import Basis


class BasisLayer(nn.Module):
    """A layer whose weights multiply functions of a basis.

    Its state says which functions, as text: weights of other functions are refused when a state
    dict is loaded. A state without this text is loaded with a warning.
    """

    base: str
    _basis: Basis

    @property
    def basis(self) -> Basis:
        """The family of functions."""
        return self._basis

    @basis.setter
    def basis(self, basis: Basis) -> None:
        self._basis = basis

    def get_extra_state(self) -> Tensor:
        """The characters of basis and base: (L,) int64, for safetensors holds tensors alone."""
        return torch.tensor(list(self._functions().encode()), device="cpu")

    def set_extra_state(self, state: Any) -> None:
        """Do nothing: it was compared before the weights were read."""

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Refuse the weights of other functions, also if ``strict`` is False."""
        name, own, key = type(self).__name__, self._functions(), f"{prefix}_extra_state"
        known = key in state_dict
        # Whoever averages states averages this one, too.
        if known and (of := bytes(state_dict[key].round().byte().tolist()).decode()) != own:
            error_msgs.append(f"{name} {prefix[:-1]!r} must have {of}, as the state, but has {own}")
            return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )
        if not known and f"{prefix}weight" in state_dict:
            warnings.warn(
                f"the state does not say which functions the weights of {name} {prefix[:-1]!r} "
                f"multiply; they are taken to be those of {own}",
                stacklevel=2,
            )
            if key in missing_keys:
                missing_keys.remove(key)

    def _functions(self) -> str:
        """Basis and base. A class without a text of its own has its name."""
        basis: Any = self._basis
        bare = type(basis).__repr__ is object.__repr__
        return f"basis={type(basis).__name__ if bare else repr(basis)}, base={self.base!r}"


def check_points(layer: nn.Module, x: Tensor, inputs: int, dtype: torch.dtype) -> None:
    """Refuse points at which a layer's edges cannot be computed.

    Args:
        layer: with ``edge_functions``, for the message.
        x: the points.
        inputs: how many the layer has.
        dtype: of its weights.

    Raises:
        ValueError: ``x`` is not (P, ``inputs``) or (P, 1), or has another dtype.
    """
    if x.ndim != 2 or x.shape[1] not in (1, inputs) or x.dtype != dtype:
        raise ValueError(
            f"{type(layer).__name__}: x of shape {tuple(x.shape)} and {x.dtype} must be (P, "
            f"{inputs}) or (P, 1) and {dtype}"
        )


def check_plain(owner: str, layer: nn.Module) -> None:
    """Refuse a layer whose weights are computed from others: new ones would be lost.

    Args:
        owner: who would change the weights, for the message.
        layer: any layer with weights.

    Raises:
        TypeError: it is pruned, or has a weight norm or another parametrization.
    """
    for name in ("weight", "spline_scale"):
        if getattr(layer, name, None) is not None and name not in layer._parameters:
            raise TypeError(
                f"{owner}: layer={layer!r} must have its {name} as a parameter: undo its pruning, "
                "weight norm or other parametrization first"
            )


def noisy_coefficients(
    basis: Basis, init_noise: float, shape: tuple[int, ...], device: torch.device
) -> Tensor:
    """Coefficients of functions that interpolate uniform noise at the P points of a basis.

    The noise lies within ``init_noise`` / (P - 1) / 2 of 0, as in efficient-kan.

    Args:
        basis: of M functions.
        init_noise: >= 0.
        shape: one function is drawn for each element of a tensor of this shape.
        device: where to draw, by torch's global generator.

    Returns:
        (M, *shape) float32.

    Raises:
        ValueError: ``init_noise`` is negative or not finite.
    """
    if not 0 <= init_noise < math.inf:
        raise ValueError(f"init_noise={init_noise!r} must be a finite number >= 0")
    points = basis.points
    noise = torch.rand((len(points), *shape), device=device) - 0.5
    noise *= init_noise / max(len(points) - 1, 1)
    values = basis.values(points[:, None]).squeeze(-1)  # (P, M)
    return splines.fit_coefficients(values.T, noise)
