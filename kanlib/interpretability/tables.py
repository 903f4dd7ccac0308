"""Analyses side by side: DataFrames of what was measured."""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from kanlib.experiments.record import load_arrays
from kanlib.experiments.run import Run, labels
from kanlib.interpretability.analysis import Analysis, Pruned, analysis_path
from kanlib.interpretability.codes import cka
from kanlib.report.statistics import mean_interval, paired_differences, summarise, verdict

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


# What is compared: about what, what it is, whether larger is better. CKA is not: its pairs share
# seeds, so it has no interval over seeds.
QUESTIONS: dict[str, tuple[str, str, bool]] = {
    "test_mse": ("error", "test MSE", False),
    "gini": ("edges", "Gini index of the edges' importance", True),
    "weights": ("edges", "weights that the same error needs, after pruning", False),
    "probe": ("code", "accuracy of a linear classifier on the code", True),
    "information": ("code", "bits on the class in a unit of the code", True),
    "information_most": ("code", "bits on the class in the most telling unit", True),
}


def judge(
    table: pd.DataFrame, analyses: Sequence[Analysis], kans: Iterable[str], rivals: Iterable[str]
) -> pd.DataFrame:
    """KANs against rivals on each of ``QUESTIONS``.

    The verdict is that of the 95 % interval of the mean difference (Student's t), one at a time.
    Weights are compared at one error, 10 % above that of the worse model of a pair: a model that
    reconstructs badly needs few weights to go on doing so.

    Args:
        table: what ``kanlib.interpretability.tables.measures`` made of the analyses.
        analyses: in the order of the table.
        kans: labels to judge.
        rivals: labels to judge against.

    Returns:
        Columns kan, rival, about ("error", "edges" or "code"), measure, kan_value, rival_value,
        difference (kan - rival), low, high, verdict ("better", "worse" or "undecided": the KAN).
        Pairs without a seed or a measure in common are left out.

    Raises:
        ValueError: a label is not in the table.
    """
    pairs = [(kan, rival) for kan in kans for rival in rivals]
    known = list(table["label"])
    missing = sorted({name for pair in pairs for name in pair} - set(known))
    if missing:
        raise ValueError(f"labels {missing} must be among {sorted(set(known))}")
    rows: list[dict[str, Any]] = []
    for (kan, rival), measure in itertools.product(pairs, QUESTIONS):
        if measure == "weights":
            two = _weights(analyses, known, kan, rival)
        else:
            two = _series(table, kan, measure), _series(table, rival, measure)
        row = _compare(*two, QUESTIONS[measure][2])
        named = {"kan": kan, "rival": rival, "about": QUESTIONS[measure][0], "measure": measure}
        rows += [named | row] if row else []
    return pd.DataFrame(rows)


def _weights(
    analyses: Sequence[Analysis], names: Sequence[str], kan: str, rival: str
) -> tuple[pd.Series, pd.Series]:
    """Weights that each of two models needs for the error of the worse, by seed."""
    found = {
        label: {a.run.seed: a for a, name in zip(analyses, names, strict=True) if name == label}
        for label in (kan, rival)
    }
    values: dict[str, dict[int, float]] = {kan: {}, rival: {}}
    for seed in found[kan].keys() & found[rival].keys():
        two = {label: found[label][seed] for label in values}
        error = TOLERANCE * max(analysis.test_mse for analysis in two.values())
        if all(analysis.pruning for analysis in two.values()):
            for label, analysis in two.items():
                values[label][seed] = least_kept(analysis.pruning["spread"], error, "numbers")
    return pd.Series(values[kan], dtype=float), pd.Series(values[rival], dtype=float)


def _series(table: pd.DataFrame, label: str, measure: str) -> pd.Series:
    rows = pd.DataFrame(table[table["label"] == label]).dropna(subset=[measure])
    return pd.Series(list(rows[measure]), index=list(rows["seed"]), dtype=float)


def _compare(kan: pd.Series, rival: pd.Series, larger_is_better: bool) -> dict[str, Any]:
    if not set(kan.index) & set(rival.index):
        return {}
    interval = mean_interval(paired_differences(kan, rival))
    return {
        "kan_value": kan.mean(), "rival_value": rival.mean(), "difference": interval.mean,
        "low": interval.low, "high": interval.high,
        "verdict": verdict(interval, larger_is_better),
    }  # fmt: skip


def answer(judged: pd.DataFrame) -> str:
    """One word: "yes" (better somewhere, worse nowhere), "no" (better nowhere) or "in part".

    Args:
        judged: rows of what ``judge`` returns.
    """
    verdicts = set(judged["verdict"])
    if "better" not in verdicts:
        return "no"
    return "in part" if "worse" in verdicts else "yes"


def verdicts(judged: pd.DataFrame) -> pd.DataFrame:
    """One row a pair: is the KAN's reconstruction, are its edges, is its code better?

    Args:
        judged: what ``judge`` returns.

    Returns:
        Columns kan, rival, error, edges, code, and interpretability (edges and code together):
        "yes", "no" or "in part", see ``answer``; "not comparable" where nothing was compared. And
        better, worse, undecided: how many of the measures of interpretability are.
    """
    groups = {"error": ["error"], "edges": ["edges"], "code": ["code"]}
    groups["interpretability"] = ["edges", "code"]
    rows: list[dict[str, Any]] = []
    for names, pair in judged.groupby(["kan", "rival"], sort=False):
        kan, rival = cast(tuple[str, str], names)
        row: dict[str, Any] = {"kan": kan, "rival": rival}
        for name, about in groups.items():
            asked = pd.DataFrame(pair[pair["about"].isin(about)])
            row[name] = answer(asked) if len(asked) else "not comparable"
        counted = list(pair[pair["about"] != "error"]["verdict"])
        rows.append(row | {word: counted.count(word) for word in ("better", "worse", "undecided")})
    return pd.DataFrame(rows)
