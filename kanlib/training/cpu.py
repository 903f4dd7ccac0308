"""Three ways to train faster on a CPU, off unless asked for; batch jobs use the first two.

``MALLOC`` is an environment that glibc reads when a process starts. Memory then comes in huge
pages (2 MiB instead of 4 KiB) where Linux allows it, and the process keeps what it once had. A
training step takes and gives back large temporaries, and each page of them costs a trip into the
kernel. A step holds more memory at its peak (``results/benchmarks/summary.md``), and a process
returns none before it ends. No number changes. Without glibc 2.35 nothing happens.

``fast_products`` lets PyTorch hand float32 products to oneDNN. On AMD processors with AVX512 that
is faster than the default, Intel's MKL, which seems to use AVX512 on Intel's own alone. Elsewhere
it was slower, and nothing changes. On a CPU with bfloat16 matrix units (AMX) the same switch would
shorten the numbers. So it is probed first, and left alone where it is not exact. It is for runs on
a CPU: on a GPU it would shorten the numbers, too, and the probe would not see it. Sums are taken in
another order, so the last digits of a run differ from those of a run without it.

``compiler`` serves ``train(..., compiled=True)``: PyTorch's compiler makes one piece of code of
the model, the loss and their gradients. It makes fewer passes over memory, with no Python between
the layers. It needs a C++ compiler, and time and memory in each process (``summary.md`` has
both), so it pays for KAN layers and thousands of steps. Here, too, the last digits differ. In a
training loop of your own, ``torch.compile(model)`` does the same.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

Products = Literal["default", "onednn"]
Passes = Literal["eager", "compiled"]
Function = Callable[..., Tensor]
# Blocks above 32 MiB would be mapped, and cleared, anew for each step: none is mapped by itself.
_KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=1099511627776"
MALLOC = {"GLIBC_TUNABLES": f"glibc.malloc.hugetlb=1:{_KEEP}"}
_PROCESSORS = Path("/proc/cpuinfo")


@contextmanager
def fast_products(enabled: bool) -> Iterator[Products]:
    """Use oneDNN inside the ``with`` block, if it is faster and exact here.

    What is faster follows from the processor alone: a clock would choose now one, now the other.

    Args:
        enabled: False leaves everything as it is.

    Yields:
        "onednn" where it is on, else "default"; to be written in a record.
    """
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
        processors = _PROCESSORS.read_text()
    except OSError:  # not Linux
        return False
    return "AuthenticAMD" in processors and "avx512f" in processors.split()


def _largest_error() -> float:
    """Error of a random float32 product, relative to its largest entry."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 1024, generator=generator, device="cpu") for _ in range(2))
    exact = a.double() @ b.double().T
    return ((a @ b.T - exact).abs().max() / exact.abs().max()).item()


def passes_of(compiled: bool) -> Passes:
    """How ``train(..., compiled=compiled)`` runs its steps, to be written in a record.

    Returns:
        "compiled" where that is asked for and a C++ compiler is found, else "eager".
    """
    return "compiled" if compiled and _compiler_works() else "eager"


@contextmanager
def compiler(compiled: bool) -> Iterator[Callable[[Function], Function]]:
    """Yield what compiles a function, or leaves it alone where ``passes_of`` says "eager".

    Inside the ``with`` block, a function is compiled for each size that it meets.
    """
    if passes_of(compiled) == "eager":
        yield lambda function: function
        return
    from torch._dynamo import config  # takes a second

    # Code for any size is slower than code for one. So there are more forms of a function than
    # the 8 after which PyTorch would compile no more.
    with config.patch(automatic_dynamic_shapes=False, recompile_limit=64):
        yield _compile


def _compile(function: Function) -> Function:
    # Compiled code is kept on disk: it must not know the number of threads of its first process.
    return torch.compile(function, options={"cpp.dynamic_threads": True})


def _compiler_works() -> bool:
    try:
        _compile(torch.neg)(torch.ones(2))
    except (RuntimeError, OSError):  # no compiler, no place for what it makes
        return False
    return True


def device_name(device: torch.device | str) -> str:
    """A device in words: "cpu (AVX512)", or the name of the GPU."""
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} ({torch.backends.cpu.get_cpu_capability()})"
