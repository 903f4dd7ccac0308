"""What a run costs beside its work: imports, compiling, a batch run of the training notebook."""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.cases import Competitor, has_pykan
from benchmarks.rows import Row, row
from kanlib.training.cpu import MALLOC

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "notebooks/02_train_autoencoder.ipynb"
TRAINS = re.compile(r"= (train|execute)\(")  # in the cell that trains and evaluates
MODULES = {"torch": "torch", "kanlib": "kanlib", "pykan": "kan"}
IMPORTING = "import time; t = time.perf_counter(); import {}; print(time.perf_counter() - t)"
COMPILING = """
import time, torch
from benchmarks.worker import resident
from kanlib.models.dense import kan
from kanlib.training.cpu import compiler, passes_of
from kanlib.training.evaluation import reconstruction_loss as loss
model, x = kan((1, 28, 28), 34), torch.rand(64, 1, 28, 28)
loss(model, x).backward()
before, start = resident("VmRSS"), time.perf_counter()
with compiler(True) as compiled:
    compiled(loss)(model, x).backward()
print(passes_of(True), time.perf_counter() - start, (resident("VmRSS") - before) / 2**20)
"""


def time_startup(rounds: int) -> list[Row]:
    """One row a package, three of compiling a model (none without a compiler), two of a batch run.

    torch is in each package, and alone for comparison.
    """
    names = [name for name in MODULES if name != "pykan" or has_pykan()]
    imports: dict[str, list[float]] = {name: [] for name in names}
    compiling: list[tuple[float, float, float]] = []
    batch: list[tuple[float, float]] = []
    for done in range(rounds):
        for name in names:
            imports[name].append(float(_printed(IMPORTING.format(MODULES[name]))[-1]))
        compiling += _compiling()
        batch.append(_batch_run())
        print(f"  startup: round {done + 1}", file=sys.stderr, flush=True)
    rows = [row("import", Competitor(name), imports[name], "s") for name in names]
    kinds = (("never compiled before", "s"), ("compiled before", "s"), ("memory", "MiB"))
    for (name, unit), values in zip(kinds, zip(*compiling, strict=True), strict=False):
        rows.append(row("compiled passes", Competitor(name), values, unit))
    for name, seconds in zip(("whole", "outside training"), zip(*batch, strict=True), strict=True):
        rows.append(row("batch run", Competitor(name, fast=True), seconds, "s"))
    return rows


def _printed(code: str, **environment: str) -> list[str]:
    """The words that ``code`` prints in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split()


def _compiling() -> list[tuple[float, float, float]]:
    """Seconds to compile a model's passes, seconds to find them compiled, MiB of that."""
    with tempfile.TemporaryDirectory() as cache:
        first, again = (_printed(COMPILING, TORCHINDUCTOR_CACHE_DIR=cache) for _ in range(2))
    compiled = first[0] == again[0] == "compiled"
    return [(float(first[1]), float(again[1]), float(again[2]))] if compiled else []


def _batch_run() -> tuple[float, float]:
    """Seconds of one run of the training notebook on digits, as the workflow calls it.

    Returns:
        Of the whole command, and of all but the cell that trains and evaluates: starting papermill
        and the kernel, imports, data, pictures, the record.
    """
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TQDM_DISABLE": "1"}
    with tempfile.TemporaryDirectory() as folder:
        done = Path(folder, "done.ipynb")
        # With all its defaults the notebook would train a second model, to show what steps do.
        parameters = ("-p", "results_dir", folder, "-p", "fast_cpu", "True", "-p", "seed", "1")
        command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3"]
        start = time.perf_counter()
        subprocess.run(
            [*command, str(NOTEBOOK), str(done), *parameters],
            env=os.environ | threads | MALLOC,
            capture_output=True,
            check=True,
        )
        whole = time.perf_counter() - start
        cells = json.loads(done.read_text())["cells"]
    work = next(cell for cell in cells if TRAINS.search("".join(cell["source"])))
    return whole, whole - work["metadata"]["papermill"]["duration"]
