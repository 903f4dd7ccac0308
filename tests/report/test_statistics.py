"""Means and comparisons against numbers worked out by hand."""

import math
from dataclasses import astuple

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report.statistics import compare, gaps, median_runs, summarise


def by_seed(*values: float) -> pd.Series:
    return pd.Series(values, index=range(len(values)), dtype=float)


def test_the_interval_is_students():
    found = compare(by_seed(2, 4, 6), by_seed(1, 2, 3))  # differences 1, 2, 3
    half = 4.302652729 / math.sqrt(3)  # t(0.975, 2 degrees) times standard error 1 / sqrt(3)
    expected = (4, 2, 2, 2 - half, 2 + half, 3)
    assert astuple(found)[:-1] == pytest.approx(expected)


def test_pairs_are_of_one_seed_whatever_the_order():
    first = pd.Series([1.0, 2.0, 9.0], index=[0, 1, 2])
    found = compare(first, pd.Series([20.0, 10.0], index=[1, 0]))
    assert found.pairs == 2
    assert (found.first, found.second) == (1.5, 15.0)  # the seed 2 has no rival
    assert found.difference == ((1 - 10) + (2 - 20)) / 2


def test_what_was_not_measured_makes_no_pair():
    found = compare(by_seed(1, math.nan, 3), by_seed(1, 1, 1))
    assert (found.pairs, found.difference) == (2, 1.0)


def test_one_pair_decides_nothing():
    found = compare(by_seed(0.2), by_seed(0.9))
    assert found.difference == pytest.approx(-0.7)
    assert math.isnan(found.low) and math.isnan(found.high)
    assert (found.pairs, found.verdict) == (1, "undecided")


def test_without_a_common_seed_there_is_no_comparison():
    found = compare(pd.Series([1.0], index=[0]), pd.Series([1.0], index=[1]))
    assert (found.pairs, found.verdict) == (0, "no common seed")
    assert np.isnan(astuple(found)[:5]).all()


@pytest.mark.parametrize(
    ("low", "high", "margin", "word"),
    [
        (-2, -1, 0, "better"),
        (1, 2, 0, "worse"),
        (-1, 1, 0, "undecided"),
        (-0.9, 0.9, 1, "level"),
        (0.1, 0.9, 1, "level"),
        (-0.9, -0.1, 1, "better"),
        (0.1, 1.1, 1, "worse"),
        (-0.9, 1.1, 1, "undecided"),
    ],
)
def test_a_verdict_follows_from_the_interval(low, high, margin, word):
    half = (high - low) / 2 / 12.7062047  # of two seeds: mean -+ t(0.975, 1) times half their gap
    first = (low + high) / 2 + by_seed(-half, half)
    found = compare(first, by_seed(0, 0), margin=margin)
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.verdict == word
    turned = compare(-first, by_seed(0, 0), larger_is_better=True, margin=margin)
    assert turned.verdict == word


def test_a_seed_that_is_there_twice_is_refused():
    twice = pd.Series([1.0, 2.0], index=[3, 3])
    with pytest.raises(ValueError, match=r"first has seeds \[3, 3\]"):
        compare(twice, by_seed(1))
    with pytest.raises(ValueError, match=r"second has seeds \[3, 3\]"):
        compare(by_seed(1), twice)


def test_an_infinite_number_is_refused():
    with pytest.raises(ValueError, match=r"second=\[inf\]"):
        compare(by_seed(1), by_seed(math.inf))


LABELLED = pd.DataFrame(
    {"label": ["a", "a", "b", "b", "b"], "seed": [0, 1, 1, 0, 2], "mse": [3.0, 5, 2, 2, 9]}
)


def test_gaps_are_fractions_of_the_rivals_mean_over_common_seeds():
    table = gaps(LABELLED, "mse", [("a", "b"), ("b", "b")])
    assert table["model"].tolist() == ["a", "b"] and table["rival"].tolist() == ["b", "b"]
    assert table["difference"].tolist() == [1, 0]  # 3 and 5 against 2 and 2
    half = 12.7062047 * 1 / 2  # t(0.975, 1 degree) times standard error 1, over the rival's 2
    assert table["high"].to_numpy()[0] == pytest.approx(1 + half)
    assert table["verdict"].to_numpy()[0] == "undecided"


def test_gaps_need_labels_of_the_frame():
    with pytest.raises(ValueError, match=r"pairs has \['c'\]"):
        gaps(LABELLED, "mse", [("a", "c")])


def frame(*runs: Run, **columns: list[float]) -> pd.DataFrame:
    return pd.DataFrame([run.model_dump() for run in runs]).assign(**columns)


def test_a_summary_has_one_row_a_configuration_in_order():
    runs = (
        Run(model="mlp", hidden=3, bottleneck=9),
        Run(model="mlp", bottleneck=9),
        Run(model="mlp", hidden=3, bottleneck=9, seed=1),
        Run(model="mlp", hidden=3, bottleneck=4),
        Run(model="mlp", hidden=3, bottleneck=9, dataset="mnist"),
    )
    table = summarise(frame(*runs, mse=[1.0, 7.0, 3.0, 5.0, 6.0]), ["mse"])
    assert table["hidden"].tolist() == pytest.approx([3, math.nan, 3, 3], nan_ok=True)
    assert table["dataset"].tolist() == ["digits", "digits", "digits", "mnist"]
    assert table["seeds"].tolist() == [2, 1, 1, 1]
    assert table["mse"].tolist() == [2.0, 7.0, 5.0, 6.0]
    assert table["mse_sd"].iloc[0] == pytest.approx(math.sqrt(2))
    assert table["mse_sd"].iloc[1:].isna().all()


def test_a_summary_names_what_is_missing():
    with pytest.raises(ValueError, match=r"\['accuracy'\]"):
        summarise(frame(Run(), mse=[1.0]), ["mse", "accuracy"])
    with pytest.raises(ValueError, match="0 rows"):
        summarise(frame(Run(), mse=[1.0]).iloc[:0], ["mse"])


def test_the_median_run_of_each_label_is_found():
    frame = pd.DataFrame(
        {"label": ["b", "b", "b", "a", "a"], "x": [3.0, 1.0, 2.0, 5.0, 4.0]}, index=range(10, 15)
    )
    found = median_runs(frame, "x")
    assert found["label"].tolist() == ["b", "a"] and found.index.tolist() == [12, 14]


def test_a_seed_that_is_there_twice_is_not_counted_twice():
    twice = frame(Run(seed=1), Run(seed=1), mse=[1.0, 2.0])
    with pytest.raises(ValueError, match="'seed': 1"):
        summarise(twice, ["mse"])
