"""Interleaved rounds: fresh processes, one a competitor, asked in turn A B C A B C ...

Each process has its own environment, allocator and library settings. One works at a time; the
others wait on their pipes. So a slow minute of the machine falls on all competitors alike, and no
competitor inherits another's memory.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.cases import Case, Competitor, on_device
from benchmarks.rows import Row, row
from benchmarks.work import UNITS
from kanlib.training.cpu import MALLOC

ROOT = Path(__file__).resolve().parents[1]
ROUND_SECONDS = 0.02  # repeats fill this; at least one call
PAUSE = 0.015  # before a round, seconds: OpenMP's threads spin that long after another's work


class WorkerProcess:
    """The parent's end of ``worker.py``."""

    def __init__(self, fast: bool) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in MALLOC}
        environment |= {"TQDM_DISABLE": "1"} | (MALLOC if fast else {})
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker"],
            env=environment,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def send(self, do: str, **arguments: Any) -> None:
        """Ask, without waiting for the answer."""
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it died: ``receive`` says so
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()

    def receive(self) -> Row:
        """The answer to the oldest open question.

        Raises:
            RuntimeError: the worker failed or died.
        """
        assert self.process.stdout
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"died, exit {self.process.wait()}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, do: str, **arguments: Any) -> Row:
        """Question and answer."""
        self.send(do, **arguments)
        return self.receive()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin and self.process.stdout
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


def time_cases(
    cases: Sequence[Case], rounds: int, device: str, say: Callable[[str], None]
) -> list[Row]:
    """Time every case, with fresh processes for each shape; one row a case and competitor."""
    rows: list[Row] = []
    for shape, group in groupby(cases, key=lambda case: case.shape):
        group = list(group)
        everyone = {c: None for case in group for c in on_device(case.competitors, device)}
        workers = {c: WorkerProcess(c.fast) for c in everyone}
        try:
            for competitor, worker in workers.items():
                worker.send("start", fast=competitor.fast)
            started = {c: worker.receive() for c, worker in workers.items()}
            for case in group:
                begin = time.perf_counter()
                rows += _time_case(case, workers, started, rounds, device)
                seconds = time.perf_counter() - begin
                say(f"{shape} G={case.grid_size} k={case.spline_order} batch {case.batch} "
                    f"{case.what}: {seconds:.0f} s")  # fmt: skip
        finally:
            for worker in workers.values():
                worker.close()
    return rows


def _time_case(
    case: Case,
    workers: dict[Competitor, WorkerProcess],
    started: dict[Competitor, Row],
    rounds: int,
    device: str,
) -> list[Row]:
    competitors = on_device(case.competitors, device)
    for competitor in competitors:
        workers[competitor].ask(
            "prepare",
            case=case.to_json(),
            name=competitor.name,
            device=device,
            round_seconds=ROUND_SECONDS,
        )
    seconds: dict[Competitor, list[float]] = {c: [] for c in competitors}
    for _ in range(rounds):
        for competitor in competitors:
            time.sleep(PAUSE)
            seconds[competitor].append(workers[competitor].ask("round")["seconds"])
    unit, convert = UNITS[case.what]
    return [
        row(case.what, [convert(s, case) for s in seconds[c]], unit, device, case, c, started[c])
        for c in competitors
    ]


def memory_of_cases(
    cases: Sequence[Case], rounds: int, device: str, say: Callable[[str], None]
) -> list[Row]:
    """Peak memory of every case, each time in a fresh fork of a process that only imported."""
    rows: list[Row] = []
    workers = {fast: WorkerProcess(fast) for fast in (False, True)}
    try:
        for case in cases:
            for competitor in on_device(case.competitors, device):
                answers = [
                    workers[competitor.fast].ask(
                        "memory",
                        case=case.to_json(),
                        name=competitor.name,
                        device=device,
                        fast=competitor.fast,
                    )
                    for _ in range(rounds)
                ]
                mebibytes = [answer["bytes"] / 2**20 for answer in answers]
                what = f"memory of {case.what}"
                rows.append(row(what, mebibytes, "MiB", device, case, competitor, answers[0]))
            say(f"{case.shape} G={case.grid_size} k={case.spline_order} batch {case.batch} memory")
    finally:
        for worker in workers.values():
            worker.close()
    return rows
