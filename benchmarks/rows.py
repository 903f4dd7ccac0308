"""Result files: one row a case and competitor, with the machine in it."""

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmarks.cases import Case, Competitor
from kanlib.experiments.environment import checkout
from kanlib.files import atomic_file

Row = dict[str, Any]
Table = Any  # pd.DataFrame or pd.Series; their types do not follow indexing
PLAIN = "plain"  # the settings of PyTorch as it is installed


def row(
    what: str,
    values: Sequence[float],
    unit: str,
    device: str = "cpu",
    case: Case | None = None,
    competitor: Competitor | None = None,
    worker: Row | None = None,
) -> Row:
    """A line of a result file: median and spread of ``values``, and where they were measured."""
    low, median, high = np.percentile(values, [10, 50, 90])
    worker = worker or {}
    fast = competitor is not None and competitor.fast
    switched = [worker[name] for name in ("products", "passes") if name in worker]
    return {
        "what": what,
        "shape": case.shape if case else "",
        "batch": case.batch if case else 0,
        "grid_size": case.grid_size if case else 0,
        "spline_order": case.spline_order if case else 0,
        "competitor": competitor.name if competitor else "",
        "settings": ", ".join(["malloc", *switched]) if fast else PLAIN,
        "device": device,
        "threads": worker.get("threads", 1),
        "median": median,
        "p10": low,
        "p90": high,
        "rounds": len(values),
        "unit": unit,
        **machine(device),
    }


def machine(device: str) -> Row:
    """What the numbers depend on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else "",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": _commit(),
    }


def _commit() -> str:
    """Of the code that is measured; with a + if it was changed since."""
    commit, dirty = checkout()
    return f"{(commit or '')[:9]}{'+' if dirty else ''}"


def write(rows: Sequence[Row], path: Path) -> None:
    """As CSV, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False, float_format="%.4g")
