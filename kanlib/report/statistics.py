"""Means, intervals and paired differences over seeds.

A seed is the unit of observation: what varies between runs of one configuration is the random start
and the order of the batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval; low and high are NaN when there is one value only."""

    mean: float
    low: float
    high: float
    count: int


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean with Student's t interval.

    The bootstrap is too narrow for the handful of seeds that a configuration has.

    Args:
        values: one number a seed, finite; at least one.
        confidence: in (0, 1).

    Raises:
        ValueError: no values, a value that is not finite, or a confidence out of range.
    """
    try:
        sample = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        sample = np.empty(0)
    if sample.ndim != 1 or len(sample) == 0 or not np.isfinite(sample).all():
        raise ValueError(f"values={values!r} must be finite numbers, at least one")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1")
    mean, error = float(sample.mean()), np.nan
    if len(sample) > 1:
        error = float(stats.sem(sample) * stats.t.ppf((1 + confidence) / 2, len(sample) - 1))
    return Interval(mean, mean - error, mean + error, len(sample))


def bootstrap_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Mean with a bootstrap interval (percentiles of 9,999 resamples, seed 0).

    It asks for no normal distribution, but is too narrow for few values: with five of them it
    covers the mean in about 80 to 85 of 100 cases instead of 95. ``mean_interval`` is the careful
    one.

    Args:
        values: as in ``mean_interval``.
        confidence: in (0, 1).

    Raises:
        ValueError: see ``mean_interval``.
    """
    mean = mean_interval(values, confidence)
    if mean.count == 1:
        return mean
    interval = stats.bootstrap(
        (np.asarray(values, dtype=float),), np.mean, confidence_level=confidence,
        method="percentile", rng=0,
    ).confidence_interval  # fmt: skip
    return Interval(mean.mean, float(interval.low), float(interval.high), mean.count)


def paired_differences(first: pd.Series, second: pd.Series) -> list[float]:
    """Differences, first - second, for each of the seeds that both have.

    Args:
        first: one number a seed; the index holds the seeds.
        second: likewise.

    Raises:
        ValueError: they have no seed in common, or one of them has a seed twice.
    """
    for name, series in (("first", first), ("second", second)):
        if not series.index.is_unique:
            raise ValueError(f"{name} has seeds {list(series.index)}; must have each once")
    both = pd.concat([first, second], axis=1, join="inner")
    if both.empty:
        raise ValueError(
            f"first has seeds {list(first.index)}, second {list(second.index)}: none in common"
        )
    return (both.iloc[:, 0] - both.iloc[:, 1]).tolist()


def verdict(difference: Interval, larger_is_better: bool = False, margin: float = 0.0) -> str:
    """What the interval of a difference says of the first of two.

    Args:
        difference: first - second.
        larger_is_better: of the values themselves.
        margin: >= 0, the largest difference that does not matter.

    Returns:
        "better" where the interval excludes 0 on that side; else "level" where all of it lies
        within the margin; else "worse" where it excludes 0; else "undecided".
    """
    low, high = difference.low, difference.high
    better, worse = (low > 0, high < 0) if larger_is_better else (high < 0, low > 0)
    if better:
        return "better"
    if -margin < low and high < margin:
        return "level"
    return "worse" if worse else "undecided"


def summarise(records: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and standard deviation over seeds of each model at each bottleneck.

    Args:
        records: as ``kanlib.experiments.load_records`` returns.
        metrics: numeric columns.

    Returns:
        One row for each label and bottleneck, in their order of appearance: label, bottleneck,
        seeds (how many), and for each metric its mean under its own name and its standard
        deviation as <metric>_sd (NaN for one seed).

    Raises:
        ValueError: there are no records, they are of several data sets, or a metric is no column.
    """
    missing = [name for name in ("label", "bottleneck", *metrics) if name not in records]
    if missing or records.empty:
        raise ValueError(
            f"records has {len(records)} rows and lacks the columns {missing}; must have at least "
            f"one row, label, bottleneck and the metrics; its columns are {list(records)}"
        )
    datasets = records["dataset"].unique().tolist() if "dataset" in records else []
    if len(datasets) > 1:  # their mean would mean nothing
        raise ValueError(f"records are of the data sets {datasets}; must be of one")
    groups = records.groupby(["label", "bottleneck"], sort=False)
    table = pd.DataFrame({"seeds": groups.size()})
    for metric in metrics:
        table[metric] = groups[metric].mean()
        table[f"{metric}_sd"] = groups[metric].std()
    return table.reset_index()
