"""Speed and memory of the KAN layer against its competitors.

``python -m benchmarks`` measures whatever has no result file yet, then writes the report. Wants a
quiet machine.
"""

import argparse
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from benchmarks import plans, report
from benchmarks.measure import memory_of_cases, time_cases
from benchmarks.rows import Row, write
from benchmarks.startup import time_startup

NAMES = (*plans.PLANS, "startup")
ROUNDS, MEMORY_ROUNDS, QUICK_ROUNDS = 15, 3, 2  # memory hardly varies


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME",
                        help=f"some of {', '.join(NAMES)}")  # fmt: skip
    parser.add_argument("--quick", action="store_true",
                        help="tiny sizes and 2 rounds: tries the machinery out")  # fmt: skip
    parser.add_argument("--force", action="store_true", help="measure again what is there")
    parser.add_argument("--rounds", type=int, help=f"default {ROUNDS}")
    parser.add_argument("--device", choices=("cpu", "cuda"),
                        help="default: the CPU, and a CUDA device if there is one")  # fmt: skip
    parser.add_argument("--out", type=Path, help="default results/benchmarks")
    parser.add_argument("--figures", type=Path, help="default figures")
    options = parser.parse_args(arguments)
    # A quick run never ends up among the results.
    base = Path("build/benchmarks") if options.quick else Path()
    results = options.out or base / "results/benchmarks"
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rounds = options.rounds or (QUICK_ROUNDS if options.quick else ROUNDS)
    for device in [options.device] if options.device else devices:
        todo = [
            name
            for name in options.only
            if device == "cpu" or name != "startup"  # starts no kernel on a GPU
            if options.force or options.quick or not path(results, name, device).exists()
        ]
        jobs = {name: job(name, rounds, device, options.quick) for name in todo}
        total = sum(seconds for seconds, _ in jobs.values())
        print(f"{device}: {', '.join(todo) or 'nothing'} to measure, about {total / 60:.0f} min")
        for name, (_, measure) in jobs.items():
            begin = time.perf_counter()
            write(measure(), path(results, name, device))
            minutes = (time.perf_counter() - begin) / 60
            print(f"{path(results, name, device)}: {minutes:.1f} min", flush=True)
    report.write_report(results, options.figures or base / "figures")
    return 0


def path(folder: Path, name: str, device: str) -> Path:
    """layers.csv, layers_cuda.csv."""
    return folder / f"{name}{'' if device == 'cpu' else '_' + device}.csv"


def job(name: str, rounds: int, device: str, quick: bool) -> tuple[float, Callable[[], list[Row]]]:
    """Seconds that a benchmark takes by estimate, and the benchmark."""

    def say(text: str) -> None:
        print(f"  {name}: {text}", file=sys.stderr, flush=True)

    if name == "startup":
        return 45.0 * rounds, partial(time_startup, rounds, say)
    cases = plans.PLANS[name]()
    if quick:
        cases = plans.quick(cases)
    if "memory" in name:
        rounds = min(rounds, MEMORY_ROUNDS)
        forks = rounds * sum(len(case.competitors) for case in cases)
        return 0.6 * forks, partial(memory_of_cases, cases, rounds, device, say)
    return plans.estimate(cases, rounds, device), partial(time_cases, cases, rounds, device, say)


if __name__ == "__main__":
    sys.exit(main())
