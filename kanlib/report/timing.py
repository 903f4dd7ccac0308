"""What the models of an experiment cost, measured once and kept in a file.

The seconds in a record depend on what else its machine did. Here the models of one data set and
code size are timed in turn, on one thread, so that their times can be compared.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from kanlib.experiments.environment import environment
from kanlib.experiments.record import Record, load_arrays
from kanlib.experiments.run import Run
from kanlib.files import atomic_file
from kanlib.models.registry import MODELS
from kanlib.report import tables
from kanlib.report.columns import CONFIGURATION, configuration, configurations
from kanlib.report.labels import labelled, words
from kanlib.training import costs as measures

Measure = Callable[[dict[int, Any], torch.Tensor], pd.DataFrame]


def training_steps(records: Sequence[Record], kept: Path) -> pd.DataFrame:
    """How long a training step of every model takes.

    Args:
        records: of any data sets.
        kept: CSV file. It is read if it has all models of ``records``; else all are timed, and it
            is written.

    Returns:
        Every parameter of the run but the seed (NaN: None); round (0 to 14); step_ms (milliseconds
        of forward, backward and AdamW on 64 images); device, threads, torch: what timed it. A model
        that is fitted (PCA) has no rows.
    """
    wanted = _first([record for record in records if record.history.train_loss])
    if not wanted.keys() <= set(configurations(_read(kept))):
        times = _measure(wanted, measures.step_times)
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(kept) as unfinished:
            times.to_csv(unfinished, index=False)
    return _only(_read(kept), wanted)


def costs(records: Sequence[Record], kept: Path) -> pd.DataFrame:
    """What every model costs.

    Args:
        records: of any data sets.
        kept: CSV file. It is read if it has all models of ``records``, with their numbers of
            parameters; else all are measured, and it is written, with .md and .tex beside it.

    Returns:
        One row a model: every parameter of the run but the seed (NaN: None); what
        ``kanlib.training.costs.costs`` measures; device, threads, torch: what timed it.
    """
    wanted, price = _first(records), _read(kept)
    sizes = {run: record.evaluation["parameters"] for run, record in wanted.items()}
    counts = price["parameters"] if len(price) else []
    known = dict(zip(configurations(price), counts, strict=True))
    if not sizes.items() <= known.items():
        price = _measure(wanted, measures.costs)
        tables.save(labelled(price).set_index("label"), kept.parent, kept.stem)
    return _only(_read(kept), wanted)


def pareto(table: pd.DataFrame, cost: str, loss: str) -> pd.Series:
    """Which rows no other row beats in both: as cheap and as good, and better in one.

    Args:
        table: with the two columns; less is better in both. Rows with a NaN are not on the front.
        cost: a column.
        loss: another.

    Returns:
        Booleans with the index of ``table``.
    """
    a, b = (table[name].to_numpy(float) for name in (cost, loss))
    as_good = (a[None] <= a[:, None]) & (b[None] <= b[:, None])
    better = (a[None] < a[:, None]) | (b[None] < b[:, None])
    beaten = (as_good & better).any(1)
    return pd.Series(~beaten & np.isfinite(a) & np.isfinite(b), table.index)


def on_fronts(table: pd.DataFrame, costs: Sequence[str], losses: Sequence[str]) -> pd.DataFrame:
    """What is on each Pareto front.

    Args:
        table: column model, every cost and every loss.
        costs: columns.
        losses: columns.

    Returns:
        Columns cost (in words), a KAN? ("no", or the losses on whose front a KAN is), and each loss
        (in words): the models on its front, each once, from cheap to dear: "PCA, MLP".
    """
    rows = []
    for cost in costs:
        ordered: Any = table.sort_values(cost)
        on = {loss: ordered["model"][pareto(ordered, cost, loss)].unique() for loss in losses}
        kans = [words(loss) for loss in losses if any(MODELS[name].on_edges for name in on[loss])]
        row = {"cost": words(cost), "a KAN?": ", ".join(kans) or "no"}
        named = {words(loss): ", ".join(MODELS[name].label for name in on[loss]) for loss in losses}
        rows.append(row | named)
    return pd.DataFrame(rows)


def _first(records: Sequence[Record]) -> dict[Run, Record]:
    """The first record of each configuration."""
    found: dict[Run, Record] = {}
    for record in records:
        found.setdefault(configuration(record.run.model_dump()), record)
    return found


def _read(kept: Path) -> pd.DataFrame:
    """What the file holds; labels are for readers."""
    table = pd.read_csv(kept) if kept.exists() else pd.DataFrame(columns=CONFIGURATION)
    return table.drop(columns="label", errors="ignore")


def _only(table: pd.DataFrame, wanted: dict[Run, Record]) -> pd.DataFrame:
    """The rows of these configurations."""
    chosen = [place for place, run in enumerate(configurations(table)) if run in wanted]
    return table.iloc[chosen].reset_index(drop=True)


def _measure(wanted: dict[Run, Record], measure: Measure) -> pd.DataFrame:
    """``measure`` the models of each data set and code size together."""
    made, parts = environment("cpu"), []
    for place in dict.fromkeys((run.dataset, run.bottleneck) for run in wanted):
        runs = [run for run in wanted if (run.dataset, run.bottleneck) == place]
        images: Any = torch.from_numpy(load_arrays(wanted[runs[0]])["originals"])
        models = {at: run.build_model(images.shape[1:]) for at, run in enumerate(runs)}
        found = measure(models, images).reset_index()
        settings = pd.DataFrame([run.model_dump() for run in runs])[CONFIGURATION]
        beside = settings.loc[found["model"]].reset_index(drop=True)
        measured = found.drop(columns=["model", "index"], errors="ignore")
        parts.append(pd.concat([beside, measured], axis=1))
    table = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=CONFIGURATION)
    return table.assign(device=made.device, threads=measures.THREADS, torch=made.torch)
