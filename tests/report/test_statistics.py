"""Intervals and differences against numbers worked out by hand."""

import math

import pandas as pd
import pytest

from kanlib.report.statistics import (
    Interval,
    bootstrap_interval,
    mean_interval,
    paired_differences,
    summarise,
    verdict,
)


def test_the_interval_of_three_values_is_students():
    interval = mean_interval([1.0, 2.0, 3.0])
    half = 4.302652729 / math.sqrt(3)  # t(0.975, 2 degrees) times standard error 1 / sqrt(3)
    assert interval.mean == 2.0 and interval.count == 3
    assert interval.low == pytest.approx(2 - half)
    assert interval.high == pytest.approx(2 + half)


def test_one_value_has_a_mean_and_no_interval():
    interval = mean_interval([5.0])
    assert interval.mean == 5.0
    assert math.isnan(interval.low) and math.isnan(interval.high)
    assert verdict(interval) == "undecided"


def test_differences_are_paired_by_seed():
    first = pd.Series([1.0, 2.0, 9.0], index=[0, 1, 2])
    second = pd.Series([20.0, 10.0], index=[1, 0])
    assert sorted(paired_differences(first, second)) == [2 - 20, 1 - 10]


def test_the_bootstrap_interval_holds_the_mean_within_the_values():
    values = [1.0, 2.0, 4.0, 9.0]
    interval = bootstrap_interval(values)
    assert interval.mean == 4.0 and interval.count == 4
    assert 1 < interval.low < 4 < interval.high < 9
    careful = mean_interval(values)
    assert interval.high - interval.low < careful.high - careful.low
    assert interval == bootstrap_interval(values)
    assert math.isnan(bootstrap_interval([3.0]).low)


@pytest.mark.parametrize(
    ("low", "high", "word"), [(-2, -1, "better"), (1, 2, "worse"), (-1, 1, "undecided")]
)
def test_a_verdict_needs_an_interval_without_zero(low, high, word):
    interval = Interval((low + high) / 2, low, high, 5)
    assert verdict(interval) == word
    turned = {"better": "worse", "worse": "better"}
    assert verdict(interval, larger_is_better=True) == turned.get(word, word)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(-0.9, 0.9, "level"), (0.1, 0.9, "level"), (-0.9, -0.1, "better"), (0.1, 1.1, "worse"),
     (-0.9, 1.1, "undecided"), (math.nan, math.nan, "undecided")],
)  # fmt: skip
def test_an_interval_within_the_margin_is_level(low, high, word):
    assert verdict(Interval((low + high) / 2, low, high, 5), margin=1.0) == word
    turned = Interval(-(low + high) / 2, -high, -low, 5)
    assert verdict(turned, larger_is_better=True, margin=1.0) == word


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf], [[1.0], [2.0]]])
def test_values_that_are_not_numbers_are_refused(values):
    with pytest.raises(ValueError, match="values="):
        mean_interval(values)


def test_disjoint_seeds_are_refused():
    with pytest.raises(ValueError, match="none in common"):
        paired_differences(pd.Series([1.0], index=[0]), pd.Series([1.0], index=[1]))


def test_a_summary_has_one_row_a_model_and_size_in_order():
    records = pd.DataFrame(
        {
            "label": ["b", "b", "a"],
            "bottleneck": [9, 9, 4],
            "seed": [0, 1, 0],
            "mse": [1.0, 3.0, 5.0],
        }
    )
    table = summarise(records, ["mse"])
    assert table["label"].tolist() == ["b", "a"]
    assert table["seeds"].tolist() == [2, 1]
    assert table["mse"].tolist() == [2.0, 5.0]
    assert table["mse_sd"].tolist() == pytest.approx([math.sqrt(2), math.nan], nan_ok=True)
