"""Effects of the places where the paper goes astray, on records whose answer is known."""

from typing import Any

import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import audit


def rows(*runs: Run, **metrics: Any) -> pd.DataFrame:
    return pd.DataFrame([run.model_dump() for run in runs]).assign(**metrics)


RUNS = [
    Run(dataset="mnist", bottleneck=9),
    Run(dataset="mnist", bottleneck=9, preset="authors"),
    Run(dataset="mnist", bottleneck=9, model="kan-pure"),
    Run(dataset="mnist", bottleneck=9, model="conv"),
    Run(dataset="mnist", bottleneck=9, model="mlp", match_parameters=True),
]
FRAME = rows(
    *RUNS,
    test_mse=[0.2, 0.5, 0.1, 0.3, 0.1],
    knn_accuracy=0.5,
    leaky_knn_code_accuracy=[0.9] * 5,
    leaky_knn_reconstruction_accuracy=0.6,
)
SEEDS = rows(Run(bottleneck=9), Run(bottleneck=9, seed=1), test_mse=[0.2, 0.28])
OUTPUTS = rows(
    Run(dataset="mnist", bottleneck=9, model="conv"),
    Run(dataset="mnist", bottleneck=9, model="conv", output="linear"),
    test_mse=[0.2, 0.25],
)


def test_a_factor_is_the_larger_number_divided_by_the_smaller():
    found: Any = audit.factors(FRAME, SEEDS, OUTPUTS).set_index("place")["factor"]
    assert list(found.index) == list(audit.PLACES)
    assert found["a rival of the same size"] == pytest.approx(3)
    assert found["the learning rate"] == pytest.approx(2.5)
    assert found["the architecture"] == pytest.approx(2)
    assert found["neighbours among the test images"] == pytest.approx(1.8)
    assert found["one run"] == pytest.approx(1.4)
    assert found["images scored in place of codes"] == pytest.approx(1.5)
    assert found["a bounded output"] == pytest.approx(1.25)
    assert 1 < found["the mean over batches"] < 1.01


def test_the_largest_effect_comes_first():
    table = pd.DataFrame(
        [("one run", "mnist", 9, 1.2), ("one run", "cifar10", 32, 1.5),
         ("the architecture", "mnist", 9, 1.3)],
        columns=["place", "dataset", "bottleneck", "factor"],
    )  # fmt: skip
    found = audit.by_effect(table).dropna(subset="largest")
    assert list(found.index) == ["one run", "the architecture"]
    assert list(found["largest"]) == [1.5, 1.3]
    assert list(found["usual"]) == [1.2, 1.3]
    assert found["where"].tolist() == ["CIFAR-10, 32", "MNIST, 9"]


def test_the_formula_has_5_numbers_an_edge_and_the_layer_10():
    counts = audit.parameter_counts([9])
    assert counts.loc[9].tolist() == [10 * 2 * 784 * 9 + 180, 5 * 2 * 784 * 9 + 180]


def test_a_mean_is_over_seeds_of_the_chosen_runs():
    two = rows(Run(bottleneck=9), Run(bottleneck=9, seed=1), Run(model="pca"), test_mse=[1, 3, 9])
    assert audit.mean_of(two, "test_mse", model="kan").tolist() == [2]
