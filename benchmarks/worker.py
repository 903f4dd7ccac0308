"""A competitor's process: measures when asked to (see ``measure``), and waits when not."""

import ctypes
import gc
import multiprocessing
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import Case, Competitor
from benchmarks.work import WORK, Call, Compiled
from kanlib.training.cpu import compiler, fast_products, passes_of

ROUND_SECONDS = 0.02  # repeats fill this; at least one call
LONG = 0.5  # seconds: such a call has many steps of its own


def serve(pipe: Connection, fast: bool) -> None:
    """Answer questions until the pipe is closed: a method of ``Worker``, and its arguments."""
    worker = Worker(fast)
    while True:
        try:
            question, arguments = pipe.recv()
        except EOFError:
            return
        try:
            answer = question(worker, *arguments)
        except Exception:
            answer = RuntimeError(traceback.format_exc())
        pipe.send(answer)


class Worker:
    """What runs in the process of a competitor.

    Args:
        fast: with all that ``kanlib.training.cpu`` offers.
    """

    def __init__(self, fast: bool) -> None:
        self.fast = fast
        self.stack = ExitStack()
        self.compiled: Compiled = lambda function: function
        self.timer: Timer | None = None

    def start(self) -> dict[str, Any]:
        """Switch the settings, before anything is measured; returns them."""
        self.compiled = self.stack.enter_context(compiler(self.fast))
        return {
            "products": self.stack.enter_context(fast_products(self.fast)),
            "passes": passes_of(self.fast),
            "threads": torch.get_num_threads(),
        }

    def prepare(self, case: Case, competitor: Competitor, device: str) -> None:
        """Build, warm up, choose the number of repeats."""
        self.timer = None  # gives the memory back first
        torch.manual_seed(0)
        self.timer = Timer(WORK[case.what](case, competitor, device, self.compiled), device)

    def round(self) -> float:
        """Seconds of a call."""
        assert self.timer is not None
        return self.timer.round()

    def memory(self, case: Case, competitor: Competitor, device: str) -> tuple[int, dict[str, Any]]:
        """Peak memory of a case in bytes, and the settings, from a fork of this process.

        This process must only have imported: it may have no threads yet.
        """

        def measure() -> None:
            settings = self.start()

            def build() -> Call:
                return WORK[case.what](case, competitor, device, self.compiled)

            build()()  # the code itself, and what is compiled
            gc.collect()
            theirs.send((peak_memory(build, device), settings))

        fork = multiprocessing.get_context("fork")
        ours, theirs = fork.Pipe(duplex=False)
        process = fork.Process(target=measure)
        process.start()
        theirs.close()
        try:
            return ours.recv()
        except EOFError:
            raise RuntimeError("the process that measured memory died; see above") from None
        finally:
            process.join()


class Timer:
    """Calls of one case, enough of them in a round to be measured well."""

    def __init__(self, call: Call, device: str) -> None:
        self.call, self.device = call, device
        call()  # warms up, and compiles
        self.seconds = measured(call, 1, device)
        self.repeats = max(1, round(ROUND_SECONDS / self.seconds))

    def round(self) -> float:
        """Seconds of a call, now; a short one's first is not counted: it finds cold caches."""
        if self.seconds < LONG:
            self.call()
        return measured(self.call, self.repeats, self.device)


def measured(call: Call, repeats: int, device: str) -> float:
    """Seconds of a call: mean of ``repeats``, by CUDA events on a GPU."""
    if device == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        start.record()
        for _ in range(repeats):
            call()
        end.record()
        torch.cuda.synchronize()
        return start.elapsed_time(end) / 1e3 / repeats
    begin = time.perf_counter()
    for _ in range(repeats):
        call()
    return (time.perf_counter() - begin) / repeats


def peak_memory(build: Callable[[], Call], device: str) -> int:
    """Bytes that three calls need at most, beyond a process that has made one and given it back.

    Weights, gradients, the optimizer's moments, features and temporaries are in it, and what the
    allocator keeps; what only building the model needed, and has given back, is not. CPU: resident
    memory, by Linux's resettable peak, elsewhere ``ru_maxrss``, which includes the building. CUDA:
    of torch's allocator.
    """
    if device == "cuda":
        call = build()
        torch.cuda.reset_peak_memory_stats()
        for _ in range(3):
            call()
        return torch.cuda.max_memory_allocated()
    if hasattr(libc := ctypes.CDLL(None), "malloc_trim"):  # glibc
        libc.malloc_trim(0)  # what is kept of earlier work would serve this one, uncounted
    before = resident("VmRSS")
    call = build()
    if sys.platform == "linux":
        Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    for _ in range(3):
        call()
    return resident("VmHWM") - before


def resident(field: str) -> int:
    """VmRSS (bytes now in memory) or VmHWM (their peak)."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{field}:\s+(\d+) kB", status)[0])
