"""Whether KANs are more interpretable than a rival: paired by seed, measure by measure.

Needs ``measures.py`` and ``statistics.py``.
"""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, cast

import pandas as pd

from kanlib.analyses import Analysis
from kanlib.measures import TOLERANCE, least_kept
from kanlib.statistics import mean_interval, paired_differences, verdict

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
        table: what ``kanlib.measures.measures`` made of the analyses.
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
