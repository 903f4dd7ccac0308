"""Three settings that make training faster on a CPU, as an opt-in; batch jobs use the first two.

``MALLOC`` is an environment that glibc reads when a process starts: memory then comes in huge pages
(2 MiB instead of 4 KiB) where Linux allows it, and stays with the process once it has it. A
training step takes and gives back large temporaries, and each page of them costs a trip into the
kernel. A step holds more memory at its peak (``results/benchmarks/summary.md``), and a process
returns none before it ends. No number changes; without glibc 2.35 nothing happens.

``fast_products`` lets PyTorch hand float32 products to oneDNN on AMD processors, where that is
faster than the default, Intel's MKL; on Intel's own it is slower, and nothing changes. On a CPU
with bfloat16 matrix units (AMX) the same switch would shorten the numbers; so it is probed first,
and left alone where it is not exact. On a GPU it would shorten them too, unseen by the probe: it is
for runs on a CPU. Sums are taken in another order, so a run's last digits differ from a run without
it.

``compiled_passes`` has training's forward and backward pass, model and loss together, run by code
that PyTorch's compiler makes from the same formulas: fewer passes over memory, no Python between
the layers. It needs a C++ compiler (none: it is left alone), seconds at the start of each process
and memory for the compiler itself (``results/benchmarks/summary.md`` has both): it pays for models
of KAN layers and thousands of steps. Sums are rounded otherwise here, too. A training loop of your
own needs no switch: ``torch.compile(model)`` does it.
"""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

Products = Literal["default", "onednn"]
Passes = Literal["eager", "compiled"]
# Blocks above 32 MiB would be mapped, and cleared, anew for each step: none is mapped by itself.
_KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776"
MALLOC = {"GLIBC_TUNABLES": f"glibc.malloc.hugetlb=1:{_KEEP}"}
_PROCESSORS = Path("/proc/cpuinfo")
_passes: Passes = "eager"  # until ``compiled_passes`` says otherwise


@contextmanager
def fast_products(enabled: bool = True) -> Iterator[Products]:
    """Use oneDNN inside the ``with`` block, if it is faster and exact here.

    Which it is follows from the processor alone: a clock would choose now one, now the other.

    Args:
        enabled: False leaves everything as it is.

    Yields:
        "onednn" where it is on, else "default"; to be written in a record.

    Raises:
        TypeError: ``enabled`` is no bool.
    """
    _check_switch(enabled)
    if not (enabled and _onednn_is_faster()):
        yield "default"
        return
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("medium")
        exact = _largest_error() <= 2e-6
        if not exact:
            torch.set_float32_matmul_precision(before)
        yield "onednn" if exact else "default"
    finally:
        torch.set_float32_matmul_precision(before)


def _onednn_is_faster() -> bool:
    try:
        return "AuthenticAMD" in _PROCESSORS.read_text()
    except OSError:  # not Linux
        return False


def _largest_error() -> float:
    """Error of a random float32 product, relative to its largest entry."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 1024, generator=generator, device="cpu") for _ in range(2))
    exact = a.double() @ b.double().T
    return ((a @ b.T - exact).abs().max() / exact.abs().max()).item()


@contextmanager
def compiled_passes(enabled: bool = True) -> Iterator[Passes]:
    """Train by compiled code inside the block, in the whole process.

    What else is compiled inside the block is compiled for each size it meets, too.

    Args:
        enabled: False leaves everything as it is.

    Yields:
        "compiled" where it is on, else "eager"; to be written in a record.

    Raises:
        TypeError: ``enabled`` is no bool.
    """
    global _passes
    _check_switch(enabled)
    if not (enabled and _compiler_works()):
        yield _passes
        return
    from torch._dynamo import config  # takes a second

    before = _passes
    try:
        # Code for any size is slower than code for one. So there are more forms of a function
        # than the 8 after which PyTorch would compile no more.
        with config.patch(automatic_dynamic_shapes=False, recompile_limit=64):
            _passes = "compiled"
            yield _passes
    finally:
        _passes = before


def compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """``function`` in compiled form inside ``compiled_passes``, elsewhere itself."""
    return function if _passes == "eager" else _compile(function)


@functools.cache
def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    # Compiled code is kept on disk: it must not know the number of threads of its first process.
    return torch.compile(function, options={"cpp.dynamic_threads": True})


def _compiler_works() -> bool:
    try:
        _compile(torch.neg)(torch.ones(2))
    except (RuntimeError, OSError):  # no compiler, no place for what it makes
        return False
    return True


def _check_switch(enabled: object) -> None:
    if not isinstance(enabled, bool):  # a "false" would turn it on
        raise TypeError(f"enabled={enabled!r} must be True or False")
