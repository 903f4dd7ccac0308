"""A competitor's process: measures when asked to, and waits on its pipe when not.

``python -m benchmarks.worker`` reads requests and writes replies, one JSON object a line. Started
and asked by ``measure.py``.
"""

import ctypes
import gc
import json
import os
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

from benchmarks.cases import Case, Competitor
from benchmarks.work import WORK, Call, Compiled
from kanlib.training.cpu import compiler, fast_products, passes_of

LONG = 0.5  # seconds: such a call has many steps of its own


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


class Timer:
    """Calls of one case, enough of them in a round to be measured well."""

    def __init__(self, call: Call, device: str, round_seconds: float) -> None:
        self.call, self.device = call, device
        call()  # warms up, and compiles
        self.seconds = measured(call, 1, device)
        self.repeats = max(1, round(round_seconds / self.seconds))

    def round(self) -> float:
        """Seconds of a call, now; a short one's first is not counted: it finds cold caches."""
        if self.seconds < LONG:
            self.call()
        return measured(self.call, self.repeats, self.device)


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


def in_fresh_fork(measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """``measure()`` in a fork of this process, which must not have started threads."""
    receiver, sender = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(sender, json.dumps(measure()).encode())
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(sender)
    with os.fdopen(receiver) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    if not answer:
        raise RuntimeError("the process that measured memory died; see its message above")
    return json.loads(answer)


def resident(field: str) -> int:
    """VmRSS (bytes now in memory) or VmHWM (their peak)."""
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    status = Path("/proc/self/status").read_text()
    return 1024 * int(re.findall(rf"{field}:\s+(\d+) kB", status)[0])


class Worker:
    """Answers requests: {"do": one of the methods below, and its arguments}."""

    def __init__(self) -> None:
        self.timer: Timer | None = None
        self.settings = ExitStack()
        self.fast = False
        self.compiled: Compiled = lambda function: function

    def start(self, fast: bool) -> dict[str, Any]:
        """Switch the settings, before anything is timed."""
        self.fast = fast
        self.compiled = self.settings.enter_context(compiler(fast))
        return {
            "products": self.settings.enter_context(fast_products(fast)),
            "passes": passes_of(fast),
            "threads": torch.get_num_threads(),
        }

    def prepare(
        self, case: dict[str, Any], name: str, device: str, round_seconds: float
    ) -> dict[str, Any]:
        """Build, warm up, choose the number of repeats."""
        self.timer = None  # gives the memory back first
        torch.manual_seed(0)
        what = Case(**case)
        self.timer = Timer(self.call(what, name, device), device, round_seconds)
        return {"seconds": self.timer.seconds, "repeats": self.timer.repeats}

    def call(self, case: Case, name: str, device: str) -> Call:
        """What is timed."""
        return WORK[case.what](case, Competitor(name, self.fast), device, self.compiled)

    def round(self) -> dict[str, Any]:
        """Seconds of a call."""
        assert self.timer is not None
        return {"seconds": self.timer.round()}

    def memory(self, case: dict[str, Any], name: str, device: str, fast: bool) -> dict[str, Any]:
        """Peak memory of a case, in a fork of its own."""

        def measure() -> dict[str, Any]:
            what = Case(**case)
            settings = self.start(fast)
            self.call(what, name, device)()  # the code itself, and what is compiled
            gc.collect()
            peak = peak_memory(lambda: self.call(what, name, device), device)
            return settings | {"bytes": peak}

        return in_fresh_fork(measure)


def main() -> None:
    """Serve until the pipe is closed."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is not a reply
    worker = Worker()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = getattr(worker, request.pop("do"))(**request)
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
