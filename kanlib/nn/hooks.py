"""Seeing what enters the layers of a model. Needs torch alone."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

See = Callable[[str, nn.Module, Tensor], None]


@contextmanager
def watch(layers: Mapping[str, nn.Module], see: See) -> Iterator[None]:
    """Inside the block, show what enters these layers, whenever their model is called.

    Args:
        layers: by name.
        see: gets the name of a layer, the layer, and its input.
    """
    hooks = [
        layer.register_forward_pre_hook(_shown(name, see), with_kwargs=True)
        for name, layer in layers.items()
    ]
    # Code that was compiled before calls no hook. (Without dynamo, which takes a second to load,
    # nothing is compiled.)
    compiles = "torch._dynamo" in sys.modules
    try:
        with torch.compiler.set_stance("force_eager") if compiles else nullcontext():
            yield
    finally:
        for hook in hooks:
            hook.remove()


def _shown(name: str, see: See) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
    return lambda layer, args, kwargs: see(name, layer, *args, *kwargs.values())
