"""Seconds that ``import`` takes in a fresh process."""

import subprocess
import sys
from collections.abc import Callable

from benchmarks.cases import Competitor, has_pykan
from benchmarks.measure import ROOT
from benchmarks.rows import Row, row

MODULES = {"torch": "torch", "kanlib": "kanlib", "pykan": "kan"}
CODE = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"


def time_imports(rounds: int, say: Callable[[str], None]) -> list[Row]:
    """One row a package; torch is in each of them, and alone for comparison."""
    names = [name for name in MODULES if name != "pykan" or has_pykan()]
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            done = subprocess.run(
                [sys.executable, "-c", CODE.format(MODULES[name])],
                cwd=ROOT,
                capture_output=True,
                text=True,
                check=True,
            )
            seconds[name].append(float(done.stdout.split()[-1]))
    say("imports")
    return [row("import", seconds[n], "s", competitor=Competitor(n)) for n in names]
