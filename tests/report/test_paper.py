"""Verdicts on the paper's results, on numbers whose answer is known."""

from typing import Any

import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import claims, paper


@pytest.mark.parametrize(
    ("verdicts", "overall"),
    [
        (["better", "better", "undecided"], "holds"),
        (["better", "level", "no rival"], "holds"),
        (["better", "worse"], "holds in part"),
        (["worse", "undecided"], "does not hold"),
        (["better", "undecided"], "cannot be known"),
        (["no rival"], "cannot be known"),
    ],
)
def test_comparisons_come_to_one_verdict(verdicts, overall):
    assert paper.overall(pd.Series(verdicts)) == overall


def test_verdicts_are_counted_in_words():
    assert paper.counted(pd.Series(["undecided", "better", "better"])) == (
        "2 of 3 better, 1 undecided"
    )


OURS = pd.Series({4: 0.2, 9: 0.1})


@pytest.mark.parametrize(
    ("dataset", "factor", "verdict", "found"),
    [
        ("mnist", 1.03, "holds", "within 2.9%"),
        ("mnist", 0.5, "does not hold", "2.0 to 2.0 times as large"),
        ("svhn-test10k", 1.0, "cannot be known", "within 0.0%, with a part of the data"),
    ],
)
def test_a_curve_holds_where_it_is_near_the_published_one(dataset, factor, verdict, found):
    row = paper.curve(dataset, OURS, OURS * factor)
    assert (row["verdict"], row["ours"]) == (verdict, found)


def compared() -> pd.DataFrame:
    """Four models on two data sets: the KANs are better than the CNN."""
    runs, errors = [], []
    for dataset in ("mnist", "cifar10"):
        for settings, error in (
            ({}, 0.3),
            ({"preset": "authors"}, 0.2),
            ({"model": "kan-pure"}, 0.1),
            ({"model": "conv"}, 0.4),
        ):
            for seed in (0, 1):
                place: Any = {"dataset": dataset, "bottleneck": 9, "seed": seed}
                runs.append(Run(**place | settings).model_dump())
                errors.append(error + seed / 1000)
    frame = pd.DataFrame(runs).assign(test_mse=errors)
    for metric in ("knn_accuracy", "leaky_knn_code_accuracy", "leaky_knn_reconstruction_accuracy"):
        frame[metric] = 1 - frame["test_mse"]
    steps = frame.rename(columns={"seed": "round", "test_mse": "step_ms"})
    steps = steps.drop(columns=[name for name in steps if "knn" in name])
    return pd.concat([claims.compare(frame), claims.compare(steps)], ignore_index=True)


def test_the_authors_code_trains_one_kan_on_mnist_and_another_elsewhere():
    kept = paper.as_in_code(compared())
    assert kept.groupby("dataset")["kan"].unique().map(list).to_dict() == {
        "mnist": ["AE-KAN (authors' rate)"],
        "cifar10": ["pure KAN"],
    }


def test_each_item_has_the_published_value_and_ours():
    theirs = paper.as_in_code(compared())
    items = paper.items(
        {"mnist": (OURS, OURS)}, {"mnist": (0.979, 0.978), "svhn": (0.6, None)}, theirs
    ).set_index("item")
    assert items.loc["error curve of MNIST, 2 code sizes", "verdict"] == "holds"
    errors = items.loc["less error than the CNN, small codes"]
    assert errors.tolist() == ["holds", "values not known", "2 of 2 better"]
    assert items.loc["accuracy on MNIST, code size 784"].tolist() == ["holds", "0.979", "0.978"]
    assert items.loc["accuracy on SVHN, code size 784", "verdict"] == "cannot be known"
    assert items.loc["parameters of AE-KAN, code size 9"].tolist() == [
        "does not hold",
        "70,740",
        "141,300",
    ]


def test_tables_of_small_codes_have_a_row_a_place():
    theirs = paper.as_in_code(compared())
    errors = paper.errors_of_small_codes(theirs)
    assert errors["data"].tolist() == ["MNIST", "CIFAR-10"]
    assert errors["the KAN's test error"].tolist() == pytest.approx([0.2005, 0.1005])
    assert list(errors.index) == ["better", "better"]
    accuracies = paper.accuracies_of_small_codes(theirs)
    assert accuracies["accuracy, KAN - CNN"].tolist() == pytest.approx([0.2, 0.3])
    assert accuracies["the paper's way"].tolist() == ["better", "better"]


def test_three_codes_stand_for_a_curve():
    curve = pd.Series({4: 0.4, 9: 0.3, 18: 0.2, 34: 0.1, 59: 0.05})
    table = paper.beside_published({"mnist": (curve, 2 * curve)}, {"mnist": curve / 2})
    assert table["code size"].tolist() == [4, 18, 59]
    assert table.iloc[0].tolist() == [4, 0.8, 0.4, 0.2]


def test_costs_are_those_of_the_authors_kan_and_cnn():
    kan, cnn = Run(dataset="mnist", preset="authors"), Run(dataset="mnist", model="conv")
    runs = [kan.model_dump(), cnn.model_dump()]
    frame = pd.DataFrame(runs).assign(parameters=[100.0, 10.0])
    times = pd.DataFrame(runs * 3).assign(step_ms=[1.0, 4.0, 2.0, 5.0, 9.0, 6.0])
    [found] = paper.costs(frame, times).to_numpy().tolist()
    size = kan.bottleneck
    assert found == [10 * 784 * size + 2 * (size * size + size), 100, 10, 2, 5]
