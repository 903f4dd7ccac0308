"""Measure the speed and memory of the KAN layer and its competitors, then write the report.

Only what has no result file yet is measured. Results want a quiet machine, and about an hour.
"""

import argparse
import sys
import time
from pathlib import Path

import torch

from benchmarks.cases import BENCHMARKS, shrunk
from benchmarks.measure import memory_of_cases, time_cases
from benchmarks.report import write_report
from benchmarks.rows import Row, write
from benchmarks.startup import time_startup

ROUNDS, FEW_ROUNDS, QUICK_ROUNDS = 15, 3, 2  # few: memory hardly varies, and a start takes a minute


def main(arguments: list[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="try everything out, at tiny sizes; writes into build/benchmarks",
    )
    parser.add_argument("--force", action="store_true", help="measure again what is there")
    options = parser.parse_args(arguments)
    base = Path("build/benchmarks" if options.quick else "")
    results = base / "results/benchmarks"
    for device in ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]:
        for name in (*BENCHMARKS, "startup") if device == "cpu" else BENCHMARKS:
            path = results / f"{name}{'' if device == 'cpu' else '_' + device}.csv"
            if path.exists() and not (options.force or options.quick):
                print(f"{path} is there; --force measures it again")
                continue
            begin = time.perf_counter()
            write(measure(name, device, options.quick), path)
            print(f"{path}: {(time.perf_counter() - begin) / 60:.1f} min", flush=True)
    write_report(results, base / "figures")
    return 0


def measure(name: str, device: str, quick: bool) -> list[Row]:
    """The rows of one benchmark."""
    rounds = QUICK_ROUNDS if quick else ROUNDS
    if name == "startup":
        return time_startup(min(rounds, FEW_ROUNDS))
    cases = shrunk(BENCHMARKS[name]) if quick else BENCHMARKS[name]
    if "memory" in name:
        return memory_of_cases(cases, min(rounds, FEW_ROUNDS), device)
    return time_cases(cases, rounds, device)


if __name__ == "__main__":
    sys.exit(main())
