"""Interleaved rounds: fresh processes, one a competitor, asked in turn A B C A B C ...

Each process has its own environment, allocator and library settings. One works at a time; the
others wait on their pipes. So a slow minute of the machine falls on all competitors alike, and no
competitor inherits another's memory.
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from typing import TypeVar
from unittest.mock import patch

from benchmarks.cases import Case, Competitor
from benchmarks.rows import Row, row
from benchmarks.work import UNITS
from benchmarks.worker import Worker, serve
from kanlib.training.cpu import MALLOC

PAUSE = 0.015  # before a round, seconds: OpenMP's threads spin that long after another's work
T = TypeVar("T")


class WorkerProcess:
    """A fresh process with a ``Worker`` in it, seen from here.

    Args:
        fast: with all that ``kanlib.training.cpu`` offers.
    """

    def __init__(self, fast: bool) -> None:
        fresh = multiprocessing.get_context("spawn")
        self.pipe, theirs = fresh.Pipe()
        self.process = fresh.Process(target=serve, args=(theirs, fast))
        with patch.dict(os.environ, {"TQDM_DISABLE": "1"}):  # the process inherits it
            for name, value in MALLOC.items():
                os.environ.pop(name, None)
                if fast:
                    os.environ[name] = value
            self.process.start()
        theirs.close()

    def ask(self, question: Callable[..., T], *arguments: object) -> T:
        """What the ``Worker``'s method ``question`` returns there.

        Raises:
            RuntimeError: it failed, or the process died.
        """
        try:
            self.pipe.send((question, arguments))
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise RuntimeError(f"a worker died, exit {self.process.exitcode}") from None
        if isinstance(answer, RuntimeError):
            raise answer
        return answer

    def close(self) -> None:
        """End the process."""
        self.pipe.close()
        self.process.join()


def time_cases(cases: Sequence[Case], rounds: int, device: str) -> list[Row]:
    """Time every case, with fresh processes for each shape; one row a case and competitor."""
    rows: list[Row] = []
    for _, group in groupby(cases, key=lambda case: case.shape):
        group = list(group)
        with ExitStack() as stack:
            workers = {
                c: stack.enter_context(closing(WorkerProcess(c.fast)))
                for c in dict.fromkeys(c for case in group for c in case.competitors_on(device))
            }
            settings = {c: worker.ask(Worker.start) for c, worker in workers.items()}
            for case in group:
                unit, convert = UNITS[case.what]
                for c, seconds in _seconds(case, workers, rounds, device).items():
                    values = [convert(s, case) for s in seconds]
                    rows.append(row(case.what, c, values, unit, case, device, settings[c]))
    return rows


def _seconds(
    case: Case, workers: dict[Competitor, WorkerProcess], rounds: int, device: str
) -> dict[Competitor, list[float]]:
    """Seconds of a call in each round, by competitor."""
    begin = time.perf_counter()
    seconds: dict[Competitor, list[float]] = {c: [] for c in case.competitors_on(device)}
    for competitor in seconds:
        workers[competitor].ask(Worker.prepare, case, competitor, device)
    for _ in range(rounds):
        for competitor, found in seconds.items():
            time.sleep(PAUSE)
            found.append(workers[competitor].ask(Worker.round))
    _say(case, f"{time.perf_counter() - begin:.0f} s")
    return seconds


def memory_of_cases(cases: Sequence[Case], rounds: int, device: str) -> list[Row]:
    """Peak memory of every case, each time in a fresh fork of a process that only imported."""
    rows: list[Row] = []
    with closing(WorkerProcess(False)) as plain, closing(WorkerProcess(True)) as fast:
        for case in cases:
            for c in case.competitors_on(device):
                worker = fast if c.fast else plain
                answers = [worker.ask(Worker.memory, case, c, device) for _ in range(rounds)]
                mebibytes = [peak / 2**20 for peak, _ in answers]
                what, settings = f"memory of {case.what}", answers[0][1]
                rows.append(row(what, c, mebibytes, "MiB", case, device, settings))
            _say(case, "memory")
    return rows


def _say(case: Case, done: str) -> None:
    size = f"{case.shape}, batch {case.batch}, G {case.grid_size}, k {case.spline_order}"
    print(f"  {case.what} {size}: {done}", file=sys.stderr, flush=True)
