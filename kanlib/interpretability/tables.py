"""Analyses side by side: DataFrames, in which the parameters of its run say whose a row is."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kanlib.interpretability.analysis import Analysis, Pruned
from kanlib.interpretability.codes import cka
from kanlib.interpretability.edges import DEGREES
from kanlib.report.columns import CONFIGURATION

TOLERANCE = 1.1  # "as good": at most 10 % more error


def measures(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """One row a run: every measure as one number.

    ``kanlib.report.statistics.summarise`` makes means over seeds of it.

    Args:
        analyses: read or saved, each once.

    Returns:
        Columns: every parameter of the run; what ``numbers`` returns; cka, the mean likeness of the
        run's code to those of the other seeds (NaN for a single seed).

    Raises:
        ValueError: there are no analyses, or one is there twice.
        FileNotFoundError: an analysis has no arrays beside it.
    """
    runs = [analysis.run for analysis in analyses]
    if not runs or len(set(runs)) < len(runs):
        raise ValueError(
            f"analyses: {len(runs)}, of {len(set(runs))} different runs; must be >= 1, each once"
        )
    table = pd.DataFrame([a.run.model_dump() | numbers(a) for a in analyses])
    table["cka"] = _likeness(analyses)
    return table


def numbers(analysis: Analysis) -> dict[str, float]:
    """Every measure of one model as one number; NaN where it has no such thing.

    Returns:
        test_mse; constant .. cubic, test MSE with all curved functions ablated, over test_mse;
        gini and effective, means over all edges; kept and kept_numbers, the least fraction of the
        edges, and the least number of weights, with which pruning by spread stays within 10 % of
        test_mse; line_explained, explained, simple, noise_line, noise_explained, noise_simple,
        means over the KAN layers (see ``kanlib.interpretability.formulas``); probe; information
        and information_most, mean and largest bits of a unit.
    """
    whole, ablated = analysis.test_mse, analysis.ablation.get("", {})
    bits = analysis.information
    return {
        "test_mse": whole,
        **{name: ablated.get(name, np.nan) / whole for name in DEGREES.values()},
        **_edges(analysis),
        **_formulas(analysis),
        "probe": analysis.probe,
        "information": float(np.mean(bits)),
        "information_most": max(bits),
    }


def _edges(analysis: Analysis) -> dict[str, float]:
    layers = list(analysis.sparsity.values())
    if not layers:
        return dict.fromkeys(("gini", "effective", "kept", "kept_numbers"), np.nan)
    sizes = [layer.edges for layer in layers]
    curve, error = analysis.pruning["spread"], TOLERANCE * analysis.test_mse
    return {
        "gini": float(np.average([layer.gini for layer in layers], weights=sizes)),
        "effective": float(np.average([layer.effective for layer in layers], weights=sizes)),
        "kept": least_kept(curve, error, "kept"),
        "kept_numbers": least_kept(curve, error, "numbers"),
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


def _likeness(analyses: Sequence[Analysis]) -> list[float]:
    """Mean CKA of each code with those of the other seeds."""
    codes = {analysis.run: analysis.arrays()["codes"] for analysis in analyses}
    likeness = []
    for run, code in codes.items():
        others = [
            other
            for other in codes
            if other != run and other.model_copy(update={"seed": run.seed}) == run
        ]
        likeness.append(float(np.mean([cka(code, codes[o]) for o in others] or [np.nan])))
    return likeness


def ablations(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Test MSE with functions replaced, means over seeds.

    Returns:
        One row a configuration and part. Columns: every parameter of the run but the seed; part
        (all, encoder, decoder); whole, constant, line, quadratic, cubic. PCA has no rows.
    """
    keys, values = [*CONFIGURATION, "part"], ["whole", *DEGREES.values()]
    rows = [
        analysis.run.model_dump() | {"part": part or "all", "whole": analysis.test_mse} | errors
        for analysis in analyses
        for part, errors in analysis.ablation.items()
    ]
    groups: Any = pd.DataFrame(rows, columns=keys + values).groupby(keys, dropna=False, sort=False)
    return groups.mean().reset_index()


def pruning_curves(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """Test MSE against what is left of a model, means over seeds.

    Returns:
        One row a configuration, rule and fraction. Columns: every parameter of the run but the
        seed; rule; kept (fraction of the edges); numbers (weights on them); mse; mse_sd.
    """
    keys, values = [*CONFIGURATION, "rule", "kept"], ["numbers", "mse"]
    rows = [
        analysis.run.model_dump() | {"rule": rule} | point.model_dump()
        for analysis in analyses
        for rule, curve in analysis.pruning.items()
        for point in curve
    ]
    groups: Any = pd.DataFrame(rows, columns=keys + values).groupby(keys, dropna=False, sort=False)
    means = groups.agg(numbers=("numbers", "mean"), mse=("mse", "mean"), mse_sd=("mse", "std"))
    return means.reset_index()


def formulas(analyses: Sequence[Analysis]) -> pd.DataFrame:
    """How simple edges are in the encoder and in the decoder: means over layers and seeds.

    Returns:
        One row a configuration and part, of models with KAN layers. Columns: every parameter of the
        run but the seed; part (encoder, decoder); line, explained, noise_line, noise_explained, see
        ``kanlib.interpretability.formulas``.
    """
    keys = [*CONFIGURATION, "part"]
    values = ["line", "explained", "noise_line", "noise_explained"]
    rows = [
        analysis.run.model_dump()
        | {"part": name.partition(".")[0]}
        | {value: getattr(layer, value) for value in values}
        for analysis in analyses
        for name, layer in analysis.formulas.items()
    ]
    groups: Any = pd.DataFrame(rows, columns=keys + values).groupby(keys, dropna=False, sort=False)
    return groups.mean().reset_index()
