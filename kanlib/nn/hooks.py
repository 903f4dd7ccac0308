"""Watching what enters the layers of a model."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

See = Callable[[str, nn.Module, Tensor], None]  # takes a layer's name, the layer, its input


@contextmanager
def watch(layers: Mapping[str, nn.Module], see: See) -> Iterator[None]:
    """Call ``see`` with each input of these layers, whenever they are called in the block.

    Args:
        layers: by name.
        see: called with the name of a layer, the layer and its input.
    """
    hooks = [
        layer.register_forward_pre_hook(partial(_show, see, name), with_kwargs=True)
        for name, layer in layers.items()
    ]
    # Code that was compiled before calls no hooks, so the model must run uncompiled. Without dynamo
    # nothing can be compiled; importing it to ask would take a second.
    compiles = "torch._dynamo" in sys.modules
    try:
        with torch.compiler.set_stance("force_eager") if compiles else nullcontext():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _show(see: See, name: str, layer: nn.Module, args: Any, kwargs: Any) -> None:
    see(name, layer, *args, *kwargs.values())
