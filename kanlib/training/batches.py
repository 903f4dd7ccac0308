"""Passes over many images, in batches that memory has room for."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MEMORY = 2**27  # bytes of all tensors that a function may make of one batch
_LARGEST = 1024  # images


class Made(TorchDispatchMode):
    """Counts the bytes of all tensors that are made in the ``with`` block, freed or not.

    What an allocator holds at its peak would depend on what it did before; this does not.

    Attributes:
        total: bytes so far.
    """

    total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """To skip it, torch would import its compiler, for seconds; nothing is compiled here."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Call it, and count what is no view of what it was given."""
        made = func(*args, **(kwargs or {}))
        given = {_place(leaf) for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
        for leaf in tree_leaves(made):
            if isinstance(leaf, Tensor) and _place(leaf) not in given:
                self.total += leaf.untyped_storage().nbytes()
        return made


def _place(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def batches(function: Callable[[Tensor], Tensor], images: Tensor) -> tuple[Tensor, ...]:
    """``images`` (N, ...) in parts of which ``function`` makes at most ``MEMORY`` bytes.

    A part has one image at least, and 1,024 at most. ``function`` is tried on one image and on
    two. What the second adds is the same each time, and so are the parts.

    Raises:
        ValueError: there are no images.
    """
    if len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)} must be at least one")
    if len(images) == 1:
        return (images,)
    counts = []
    for size in (1, 2):
        with torch.no_grad(), Made() as made:
            function(images[:size])
        counts.append(made.total)
    fitting = MEMORY // max(1, counts[1] - counts[0])
    return images.split(min(max(1, fitting), _LARGEST))


@torch.no_grad()  # inference_mode would return tensors that no layer can be trained on
def apply(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """``function`` of ``images`` (N, ...), N >= 1, computed in ``batches``."""
    one, parts = function(images[:1]), batches(function, images)
    made = one.new_empty(len(images), *one.shape[1:])  # torch.cat would hold all of it twice
    for place, part in zip(made.split(len(parts[0])), parts, strict=True):
        place.copy_(function(part).reshape(place.shape))
    return made


def summable(tensor: Tensor) -> Tensor:
    """The tensor where float64 can be had: on its device, or else, for Apple's GPU, on the CPU."""
    return tensor.cpu() if tensor.device.type == "mps" else tensor
