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
PLAIN = "plain"  # PyTorch as it is installed
# "784-34" is no date, and the commit 89343e332 no number beyond all others.
_WORDS: Any = {"shape": str, "commit": str}


def row(
    what: str,
    competitor: Competitor,
    values: Sequence[float],
    unit: str,
    case: Case | None = None,
    device: str = "cpu",
    settings: Row | None = None,
) -> Row:
    """A line of a result file: median and spread of ``values``, and where they were measured.

    Args:
        what: was measured.
        competitor: of whom.
        values: one a round.
        unit: of the values.
        case: at which size; None: it has none.
        device: "cpu" or "cuda".
        settings: what ``Worker.start`` answered; None: no worker was asked.
    """
    low, median, high = np.percentile(values, [10, 50, 90])
    settings = settings or {}
    switched = [settings[name] for name in ("products", "passes") if name in settings]
    return {
        "what": what,
        "shape": case.shape if case else "",
        "batch": case.batch if case else 0,
        "grid_size": case.grid_size if case else 0,
        "spline_order": case.spline_order if case else 0,
        "competitor": competitor.name,
        "settings": ", ".join(["malloc", *switched]) if competitor.fast else PLAIN,
        "device": device,
        "threads": settings.get("threads", 1),
        "median": median,
        "p10": low,
        "p90": high,
        "rounds": len(values),
        "unit": unit,
        **_machine(device),
    }


def _machine(device: str) -> Row:
    """What the numbers depend on."""
    name = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line for line in info.read_text().splitlines() if line.startswith("model name")]
        name = lines[0].split(":")[1].strip() if lines else name
    commit, dirty = checkout()
    return {
        "cpu": name,
        "cores": os.cpu_count(),
        "gpu": torch.cuda.get_device_name() if device == "cuda" else "",
        "system": platform.system(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "commit": f"{(commit or '')[:9]}{'+' if dirty else ''}",  # +: and changed since
    }


def write(rows: Sequence[Row], path: Path) -> None:
    """As CSV, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        pd.DataFrame(list(rows)).to_csv(temporary, index=False, float_format="%.4g")


def load(folder: Path) -> Table:
    """All results in ``folder``, with two more columns.

    ``source`` is the file. ``label`` names competitor and settings: "KANLinear", "KANLinear +
    settings".

    Raises:
        FileNotFoundError: there are none.
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no results in {folder}; measure first")
    table = pd.concat(
        [pd.read_csv(file, dtype=_WORDS).assign(source=file.stem) for file in files],
        ignore_index=True,
    ).fillna({"shape": ""})
    fast = table["settings"] != PLAIN
    return table.assign(label=table["competitor"] + np.where(fast, " + settings", ""))


def is_growth(rows: Table) -> Table:
    """Which rows are of the benchmarks of finer and finer grids: a Series of bool."""
    return rows["source"].str.startswith("growth")
