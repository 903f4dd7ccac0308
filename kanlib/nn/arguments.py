"""Arguments of layers and bases: checked before anything is made of them."""

import operator
from typing import Any

import torch

from kanlib.nn.base_functions import BASE_FUNCTIONS


def as_sizes(owner: str, **sizes: Any) -> tuple[int, ...]:
    """Arguments of ``owner``, a function or class, that must be integers >= 1.

    Raises:
        ValueError: one is not.
    """
    found = {name: as_integer(value, 1) for name, value in sizes.items()}
    for name, size in found.items():
        if size is None:
            raise ValueError(f"{owner}: {name}={sizes[name]!r} must be an integer >= 1")
    return tuple(size for size in found.values() if size is not None)


def as_integer(value: Any, least: float) -> int | None:
    """An integer of Python, numpy or torch as an int; None if it is none, or below ``least``."""
    if isinstance(value, bool) or getattr(value, "dtype", None) is torch.bool:
        return None
    try:
        integer = operator.index(value)
    except TypeError:
        return None
    return integer if integer >= least else None


def check_functions(
    owner: str, basis: object, base: object, dtype: torch.dtype | None = None
) -> None:
    """Refuse arguments of the layer ``owner`` that do not describe learned functions."""
    if as_integer(getattr(basis, "size", None), 1) is None:
        raise ValueError(f"{owner}: basis={basis!r} must be a basis, such as BSpline()")
    if not isinstance(base, str) or base not in BASE_FUNCTIONS:
        raise ValueError(f"{owner}: base={base!r} must be one of {sorted(BASE_FUNCTIONS)}")
    known = isinstance(dtype, torch.dtype)  # a name, or a dtype of numpy, is none
    if dtype is not None and not (known and dtype.is_floating_point):
        raise ValueError(f"{owner}: dtype={dtype!r} must be floating point, such as torch.float32")


def as_device(device: Any) -> torch.device:
    """A device that is there.

    Raises:
        ValueError: torch knows no such device, or cannot compute on it.
    """
    try:
        torch.zeros((), device=device).item()
        return torch.device(device)
    except (AssertionError, RuntimeError, TypeError) as error:  # as the backend likes
        reason = str(error).splitlines()[0]
        raise ValueError(f"device={device!r} cannot be used: {reason}") from error
