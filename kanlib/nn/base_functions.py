"""Base functions: what an edge adds to its weighted sum of basis functions, such as SiLU."""

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

BaseName = Literal["silu", "identity", "zero"]


class BaseFunction(NamedTuple):
    """A function of x, and how to differentiate it.

    Attributes:
        value: x -> its values.
        gradient: (grad_output, x) -> grad_x.
        slope: (x, n) -> its n-th derivative, n >= 1.
    """

    value: Callable[[Tensor], Tensor]
    gradient: Callable[..., Tensor]
    slope: Callable[[Tensor, int], Tensor]


def _silu_slope(x: Tensor, order: int) -> Tensor:
    """X s^(n) + n s^(n-1), with the sigmoid s(x). Its derivatives are polynomials in s."""
    s = torch.sigmoid(x)
    lower, polynomial = [0], [0, 1]  # the coefficients of 1, s, s^2 ..
    for _ in range(order):  # d/dx s^m = m s^m - m s^(m+1)
        rising = [m * c for m, c in enumerate(polynomial)]
        lower = polynomial
        polynomial = [a - b for a, b in zip([*rising, 0], [0, *rising], strict=True)]
    return x * _horner(polynomial, s) + order * _horner(lower, s)


BASE_FUNCTIONS: dict[str, BaseFunction] = {  # by ``BaseName``
    "silu": BaseFunction(torch.nn.functional.silu, torch.ops.aten.silu_backward, _silu_slope),
    "identity": BaseFunction(
        lambda x: x, lambda grad, x: grad, lambda x, order: torch.full_like(x, order == 1)
    ),
    "zero": BaseFunction(
        torch.zeros_like,
        lambda grad, x: torch.zeros_like(grad),
        lambda x, order: torch.zeros_like(x),
    ),
}


def _horner(coefficients: list[int], x: Tensor) -> Tensor:
    """The polynomial with the coefficients of 1, x, x^2 .. at x."""
    total = torch.zeros_like(x)
    for coefficient in reversed(coefficients):
        total = total * x + coefficient
    return total
