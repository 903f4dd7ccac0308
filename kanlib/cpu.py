"""Two settings that make training faster on a CPU, as an opt-in; the batch jobs use both.

Needs torch alone. ``MALLOC`` is an environment that glibc reads when a process starts: memory then
comes in huge pages (2 MiB instead of 4 KiB) where Linux allows it. A training step takes and gives
back large temporaries, and each page of them costs a trip into the kernel. No number changes;
without glibc 2.35 or newer nothing happens.

``fast_products`` lets PyTorch hand float32 products to oneDNN, which is up to twice as fast as its
default on AMD processors. On a CPU with bfloat16 matrix units (AMX) the same switch would shorten
the numbers; so it is probed first, and left alone where it is not exact. On a GPU it would shorten
them too, unseen by the probe: it is for runs on a CPU. Sums are taken in another order, so a run's
last digits differ from a run without it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch

Products = Literal["default", "onednn"]

MALLOC = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@contextmanager
def fast_products(enabled: bool = True) -> Iterator[Products]:
    """Use the faster product library inside the ``with`` block, if it is exact here.

    Args:
        enabled: False leaves everything as it is.

    Yields:
        "onednn" where the faster library is on, else "default"; to be written in a record.

    Raises:
        TypeError: ``enabled`` is no bool.
    """
    if not isinstance(enabled, bool):  # a "false" would turn it on
        raise TypeError(f"enabled={enabled!r} must be True or False")
    before = torch.get_float32_matmul_precision()
    try:
        if enabled:
            torch.set_float32_matmul_precision("medium")
            if _largest_error() > 2e-6:
                torch.set_float32_matmul_precision(before)
                enabled = False
        yield "onednn" if enabled else "default"
    finally:
        torch.set_float32_matmul_precision(before)


def _largest_error() -> float:
    """Error of a random float32 product, relative to its largest entry."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 1024, generator=generator) for _ in range(2))
    exact = a.double() @ b.double().T
    return ((a @ b.T - exact).abs().max() / exact.abs().max()).item()
