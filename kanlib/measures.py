"""Analyses side by side: DataFrames of what was measured.

Needs ``analyses.py``, ``codes.py``, ``statistics.py`` and pandas; ``judgements.py`` says what they
come to.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from kanlib.analyses import Analysis, Pruned, analysis_path
from kanlib.codes import cka
from kanlib.results import load_arrays
from kanlib.runs import Run, labels
from kanlib.statistics import summarise

TOLERANCE = 1.1  # "as good": at most 10 % more error


def measures(analyses: Sequence[Analysis], results_dir: str | Path) -> pd.DataFrame:
    """One row a run: every measure as one number.

    Args:
        analyses: of the runs of an experiment, each once.
        results_dir: where their arrays are.

    Returns:
        Columns label, bottleneck, dataset, seed, test_mse; constant .. cubic, test MSE with all
        curved functions ablated, over test_mse; gini and effective, means over all edges; kept and
        kept_numbers, the least fraction, and number of weights, that pruning by spread leaves at an
        error within 10 %; line_explained, explained, simple, noise_line, noise_explained,
        noise_simple, means over the KAN layers (see ``kanlib.formulas``); probe;
        information and information_most, mean and largest bits of a unit; cka, mean over the other
        seeds. NaN where a model has no such thing.

    Raises:
        ValueError: there are no analyses, or they are of several data sets or bottlenecks.
    """
    kinds = sorted({(a.run.dataset, a.run.bottleneck) for a in analyses})
    if len(kinds) != 1:  # means over them would mean nothing
        raise ValueError(
            f"analyses are of {kinds} (data set, bottleneck); must be of one such pair"
        )
    rows = []
    for analysis, label in zip(analyses, labels([a.run for a in analyses]), strict=True):
        run = analysis.run
        row = {"label": label, "bottleneck": run.bottleneck, "dataset": run.dataset}
        row |= {"seed": run.seed, "test_mse": analysis.test_mse}
        for name, error in analysis.ablation.get("", {}).items():
            row[name] = error / analysis.test_mse
        rows.append(row | _edges(analysis) | _formulas(analysis) | _code(analysis))
    table = pd.DataFrame(rows)
    table["cka"] = _likeness(list(table["label"]), [a.run for a in analyses], results_dir)
    return table


def _edges(analysis: Analysis) -> dict[str, float]:
    layers = list(analysis.sparsity.values())
    if not layers:
        return {"gini": np.nan, "effective": np.nan, "kept": np.nan, "kept_numbers": np.nan}
    sizes = [layer.edges for layer in layers]
    curve = analysis.pruning["spread"]
    return {
        "gini": float(np.average([layer.gini for layer in layers], weights=sizes)),
        "effective": float(np.average([layer.effective for layer in layers], weights=sizes)),
        "kept": least_kept(curve, TOLERANCE * analysis.test_mse, "kept"),
        "kept_numbers": least_kept(curve, TOLERANCE * analysis.test_mse, "numbers"),
    }


def least_kept(curve: Sequence[Pruned], error: float, unit: str) -> float:
    """How little of a model keeps its test MSE at or below ``error``.

    Args:
        curve: from the whole model to none of its edges, each with fewer.
        error: allowed.
        unit: "kept" (fraction of the edges) or "numbers" (weights).

    Returns:
        Where the curve first exceeds ``error``, between its points by a straight line; NaN where
        the whole model does.
    """
    if curve[0].mse > error:
        return np.nan
    for more, less in itertools.pairwise(curve):
        if less.mse > error:
            here, there = getattr(more, unit), getattr(less, unit)
            return here + (there - here) * (error - more.mse) / (less.mse - more.mse)
    return float(getattr(curve[-1], unit))


def _formulas(analysis: Analysis) -> dict[str, float]:
    names = ("line", "explained", "simple", "noise_line", "noise_explained", "noise_simple")
    layers = list(analysis.formulas.values())
    return {
        "line_explained" if name == "line" else name: float(
            np.mean([getattr(layer, name) for layer in layers] or [np.nan])
        )
        for name in names
    }


def _code(analysis: Analysis) -> dict[str, float]:
    bits = analysis.information
    mean, most = float(np.mean(bits)), max(bits)
    return {"probe": analysis.probe, "information": mean, "information_most": most}


def _likeness(names: Sequence[str], runs: Sequence[Run], results_dir: str | Path) -> list[float]:
    codes = [load_arrays(analysis_path(run, results_dir))["codes"] for run in runs]
    likeness = []
    for i, name in enumerate(names):
        others = [j for j, other in enumerate(names) if other == name and j != i]
        likeness.append(float(np.mean([cka(codes[i], codes[j]) for j in others] or [np.nan])))
    return likeness


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds.

    Args:
        table: as ``measures`` returns.

    Returns:
        Index model; columns seeds (how many), then <measure> and <measure>_sd.
    """
    named = ("label", "dataset", "bottleneck", "seed")
    whole = summarise(table, [str(name) for name in table if name not in named])
    return whole.drop(columns="bottleneck").set_index("label").rename_axis(index="model")


def ablations(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Test MSE with functions replaced, means over seeds.

    Returns:
        Index model and part (all, encoder, decoder); columns whole, constant, line, quadratic,
        cubic.
    """
    rows = [
        {"model": label, "part": part or "all", "whole": a.test_mse} | errors
        for a, label in zip(analyses, labels([a.run for a in analyses]), strict=True)
        for part, errors in a.ablation.items()
    ]
    return pd.DataFrame(pd.DataFrame(rows).groupby(["model", "part"], sort=False).mean())


def pruning_curves(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Test MSE against what is left of a model, means over seeds.

    Returns:
        Columns label, rule, kept (fraction of the edges), numbers (weights on them), mse, mse_sd.
    """
    rows = [
        {"label": label, "rule": rule} | point.model_dump()
        for a, label in zip(analyses, labels([a.run for a in analyses]), strict=True)
        for rule, curve in a.pruning.items() for point in curve
    ]  # fmt: skip
    groups = pd.DataFrame(rows).groupby(["label", "rule", "kept"], sort=False)
    columns = {"numbers": ("numbers", "mean"), "mse": ("mse", "mean"), "mse_sd": ("mse", "std")}
    return pd.DataFrame(groups.agg(**columns)).reset_index()
