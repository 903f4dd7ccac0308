"""Means over seeds, and the one comparison of two models.

A seed is the unit of observation. What varies between runs of one configuration is the random start
and the order of the batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from kanlib.report.columns import CONFIGURATION
from kanlib.strict import check_flags

Verdict = Literal["better", "level", "worse", "undecided", "no common seed"]
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Comparison:
    """Two models, compared over the seeds that both have.

    Attributes:
        first: mean over these seeds; NaN if there are none.
        second: likewise.
        difference: mean of first - second.
        low: lower end of its 95% interval (Student's t); NaN for fewer than two seeds.
        high: upper end.
        pairs: how many seeds both have.
        verdict: on the first. "better": the interval excludes 0 on the better side; else "level":
            all of it is within the margin; else "worse": it excludes 0; else "undecided".
            "no common seed": there was nothing to compare.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float
    pairs: int
    verdict: Verdict


def compare(
    first: pd.Series, second: pd.Series, *, larger_is_better: bool = False, margin: float = 0.0
) -> Comparison:
    """Compare two models by what was measured with the same seeds.

    The bootstrap would be too narrow for the handful of seeds that a configuration has.

    Args:
        first: one number a seed; the index holds the seeds, or the rounds of a timing. NaN: not
            measured.
        second: likewise.
        larger_is_better: of the numbers.
        margin: >= 0, the largest difference that does not matter.

    Raises:
        ValueError: one of them has a seed twice, or an infinite number.
    """
    check_flags(larger_is_better=larger_is_better)
    for name, series in (("first", first), ("second", second)):
        if not series.index.is_unique:
            raise ValueError(f"{name} has seeds {list(series.index)}; must have each once")
        if np.isinf(series.to_numpy(float)).any():
            raise ValueError(f"{name}={series.tolist()} must be finite numbers")
    both = pd.concat([first.dropna(), second.dropna()], axis=1, join="inner").astype(float)
    if both.empty:
        return Comparison(np.nan, np.nan, np.nan, np.nan, np.nan, 0, "no common seed")
    differences = (both.iloc[:, 0] - both.iloc[:, 1]).to_numpy()
    pairs, mean, half = len(differences), float(differences.mean()), np.nan
    if pairs > 1:
        quantile = stdtrit(pairs - 1, (1 + CONFIDENCE) / 2)  # of Student's t
        half = float(differences.std(ddof=1) / np.sqrt(pairs) * quantile)
    ours, theirs = (float(both.iloc[:, place].mean()) for place in (0, 1))
    low, high = mean - half, mean + half
    verdict = _verdict(low, high, larger_is_better, margin)
    return Comparison(ours, theirs, mean, low, high, pairs, verdict)


def _verdict(low: float, high: float, larger_is_better: bool, margin: float) -> Verdict:
    """What the interval of a difference says of the first of two; NaN: it is undecided."""
    better, worse = (low > 0, high < 0) if larger_is_better else (high < 0, low > 0)
    if better:
        return "better"
    if -margin < low and high < margin:
        return "level"
    return "worse" if worse else "undecided"


def gaps(frame: pd.DataFrame, metric: str, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """How far models lie from rivals, as fractions of the rivals' means.

    Args:
        frame: columns label, seed and ``metric``; less is better.
        metric: column.
        pairs: labels of a model and of its rival.

    Returns:
        One row a pair: verdict on the model (see ``Comparison``; there is no margin), model, rival,
        difference, low and high (fractions; 0.1 is 10% more).

    Raises:
        ValueError: a label of ``pairs`` is none of ``frame``.
    """
    seeds: dict[str, Any] = {
        str(name): rows.set_index("seed")[metric] for name, rows in frame.groupby("label")
    }
    if unknown := sorted({name for pair in pairs for name in pair} - seeds.keys()):
        raise ValueError(f"pairs has {unknown}; the labels of frame are {sorted(seeds)}")
    rows = []
    for model, rival in pairs:
        found = compare(seeds[model], seeds[rival])
        numbers = {name: getattr(found, name) for name in ("difference", "low", "high")}
        shares = {name: number / found.second for name, number in numbers.items()}
        rows.append({"verdict": found.verdict, "model": model, "rival": rival} | shares)
    return pd.DataFrame(rows)


def summarise(frame: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each configuration.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns; may be of several data sets.
        metrics: numeric columns.

    Returns:
        One row a configuration, in order of appearance: every parameter of the run but the seed
        (NaN: None); seeds (how many); for each metric its mean under its own name, and its standard
        deviation as <metric>_sd (NaN for one seed).

    Raises:
        ValueError: there are no rows, a parameter or metric is no column, or a configuration has a
            seed twice.
    """
    missing = [name for name in (*CONFIGURATION, "seed", *metrics) if name not in frame]
    if missing or frame.empty:
        raise ValueError(
            f"frame has {len(frame)} rows and lacks the columns {missing}; its columns are "
            f"{list(frame)}"
        )
    if frame.duplicated(own := [*CONFIGURATION, "seed"]).any():
        twice = frame.loc[frame.duplicated(own), ["model", "bottleneck", "seed"]]
        raise ValueError(f"frame has a seed twice: {twice.iloc[0].to_dict()}; must have each once")
    groups: Any = frame.groupby(CONFIGURATION, dropna=False, sort=False)
    table = pd.DataFrame({"seeds": groups.size()})
    for metric in metrics:
        table[metric] = groups[metric].mean()
        table[f"{metric}_sd"] = groups[metric].std()
    return table.reset_index()


def median_runs(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """The most typical run of each label: the one in the middle, by one metric.

    Args:
        table: one row a run, with columns label and ``metric``.
        metric: numeric column.

    Returns:
        One row a label, in order of appearance, under its own index; of an even number of runs the
        better one of the two in the middle if lower is better.
    """
    places = []
    for _, rows in table.groupby("label", sort=False):
        ordered: Any = rows.sort_values(metric)
        places.append(ordered.index[(len(ordered) - 1) // 2])
    return table.loc[places]
