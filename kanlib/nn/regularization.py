"""A loss term that makes edges small, and few."""

from typing import Any

import torch
from torch import Tensor, nn

from kanlib.nn.conv import KANConv
from kanlib.nn.grids import Layer
from kanlib.nn.hooks import watch


def regularization_loss(
    model: nn.Module, inputs: Tensor | None = None, *, l1: float = 1.0, entropy: float = 1.0
) -> Tensor:
    """The sizes of the edges and their entropy, to be added to a loss with a small factor.

    l1 sum_oi a_oi + entropy (-sum_oi p_oi log p_oi), p_oi = a_oi / sum_oi a_oi, summed over the KAN
    layers (Liu et al., arXiv 2404.19756, eq. 2.17-2.20). The size a_oi of an edge is, with inputs,
    the mean of |phi_oi| over them, as in that paper and in pykan. Without inputs it is the mean of
    |w_oim| over its splines, as in efficient-kan: much cheaper, but blind to where the data are.
    The edges of a convolution are those of its kernel, and its inputs are pixels.

    Args:
        model: with KAN layers in it, or one itself. With ``inputs`` it is called once.
        inputs: a batch, as ``model`` takes it. N rows or pixels take N x edges numbers a layer.
        l1: factor of the sizes.
        entropy: factor of the entropy: 0 where one edge has it all.

    Returns:
        A number, differentiable once.

    Raises:
        ValueError: ``model`` has no KAN layer.

    Examples:
        >>> import torch
        >>> from kanlib import KAN, regularization_loss
        >>> model, x = KAN([2, 3, 1]), torch.rand(100, 2)
        >>> loss = model(x).square().mean() + 1e-4 * regularization_loss(model, x)
        >>> loss.backward()
    """
    layers: dict[str, Any] = {
        name: layer for name, layer in model.named_modules() if isinstance(layer, Layer)
    }
    if not layers:
        raise ValueError(f"model={type(model).__name__} must have a KAN layer")
    sizes: list[Tensor] = []

    def see(_: str, layer: Any, x: Tensor) -> None:
        """Keep the sizes of a layer's edges on what enters it."""
        if isinstance(layer, KANConv):
            x = x.movedim(-1 - layer.axes, -1)  # (..., C)
        sizes.append(layer.edge_functions(x.reshape(-1, x.shape[-1])).abs().mean(0))

    if inputs is None:
        sizes = [layer.weight[:, 1:].abs().mean(1) for layer in layers.values()]
    else:
        with watch(layers, see):
            model(inputs)
    return torch.stack([l1 * size.sum() + entropy * _entropy(size) for size in sizes]).sum()


def _entropy(size: Tensor) -> Tensor:
    least = torch.finfo(size.dtype).tiny  # the logarithm of 0 has no gradient
    return torch.special.entr((size / size.sum().clamp(min=least)).clamp(min=least)).sum()
