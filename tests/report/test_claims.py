"""Verdicts on the paper's claims, on records whose answer is known."""

import math
from typing import Any

import pandas as pd
import pytest

from kanlib.report import claims


def records(label: str, bottleneck: int = 9, **metrics: list[float]) -> Any:
    """Records of one model, a seed a value; what is not given is 1."""
    count = len(next(iter(metrics.values())))
    columns: dict[str, Any] = dict.fromkeys(
        ("test_mse", "seconds", "knn_accuracy", "leaky_knn_code_accuracy",
         "leaky_knn_reconstruction_accuracy"), [1.0] * count
    )  # fmt: skip
    return pd.DataFrame(
        {"label": label, "dataset": "mnist", "bottleneck": bottleneck, "seed": range(count)}
        | columns
        | metrics
    )


def row(table: pd.DataFrame, **values: Any) -> Any:
    (only,) = table.merge(pd.DataFrame([values])).itertuples()
    return only


def test_a_lower_error_is_better_and_seeds_are_paired():
    kan = records("KAN", test_mse=[0.10, 0.20, 0.30])
    cnn = records("CNN", test_mse=[0.21, 0.30, 0.39]).iloc[::-1]
    found = row(claims.compare(pd.concat([kan, cnn])), claim="reconstruction")
    assert found.difference == pytest.approx(-0.10)
    half = 4.302652729 * 0.01 / math.sqrt(3)  # t(0.975, 2), sd of -0.11, -0.10, -0.09
    assert (found.low, found.high) == pytest.approx((-0.10 - half, -0.10 + half))
    assert -0.11 <= found.bootstrap_low < found.bootstrap_high <= -0.09
    assert (found.seeds, found.verdict) == (3, "better")


def test_a_lower_accuracy_is_worse():
    both = pd.concat(
        [records("KAN", knn_accuracy=[0.5, 0.6]), records("CNN", knn_accuracy=[0.8, 0.9])]
    )
    assert row(claims.compare(both), claim="accuracy", protocol="sound").verdict == "worse"


def test_the_papers_accuracy_is_of_the_kans_images_and_the_cnns_code():
    kan = records(
        "KAN", leaky_knn_reconstruction_accuracy=[0.9, 0.9], leaky_knn_code_accuracy=[0, 0]
    )
    cnn = records(
        "CNN", leaky_knn_code_accuracy=[0.7, 0.7], leaky_knn_reconstruction_accuracy=[1, 1]
    )
    found = row(claims.compare(pd.concat([kan, cnn])), claim="accuracy", protocol="paper")
    assert (found.kan_value, found.rival_value) == pytest.approx((0.9, 0.7))


def test_a_shorter_step_is_better_and_what_was_not_measured_is_not_compared():
    rounds = pd.DataFrame(
        {"label": ["KAN", "KAN", "CNN", "CNN"], "dataset": "mnist", "bottleneck": 9,
         "seed": [0, 1, 0, 1], "step_ms": [1.0, 1.1, 3.0, 3.2]}
    )  # fmt: skip
    found = row(claims.compare(rounds), claim="training time")
    assert found.verdict == "better"
    assert found.difference == pytest.approx(-2.05)


def test_pca_is_the_same_for_every_seed():
    both = pd.concat([records("KAN", test_mse=[0.2, 0.3, 0.4]), records("PCA", test_mse=[0.1])])
    found = row(claims.compare(both), rival="PCA", metric="test_mse")
    assert (found.seeds, found.difference) == (3, pytest.approx(0.2))


def test_one_seed_decides_nothing():
    both = pd.concat([records("KAN", test_mse=[0.2]), records("CNN", test_mse=[0.9])])
    found = row(claims.compare(both), claim="reconstruction")
    assert found.verdict == "undecided" and math.isnan(found.low)


def test_a_difference_that_does_not_matter_is_level():
    error = claims.MARGIN / 2
    kan = records("KAN", test_mse=[1 + error] * 2, knn_accuracy=[0.5, 0.5])
    accuracy = 0.5 + 0.9 * claims.ACCURACY_MARGIN
    cnn = records("CNN", test_mse=[1.0, 1.0], knn_accuracy=[accuracy] * 2)
    table = claims.compare(pd.concat([kan, cnn]))
    assert row(table, claim="reconstruction").verdict == "level"
    assert row(table, claim="accuracy", protocol="sound").verdict == "level"


def test_models_are_compared_at_the_same_bottleneck_only():
    both = pd.concat([records("KAN", 4, test_mse=[0.2]), records("CNN", 9, test_mse=[0.9])])
    assert claims.compare(both).empty


@pytest.mark.parametrize(
    ("claim", "found", "overall"),
    [
        ("reconstruction", ["better", "better"], "holds"),
        ("reconstruction", ["better", "level"], "holds"),
        ("reconstruction", ["better", "undecided"], "not refuted"),
        ("reconstruction", ["undecided"], "undecided"),
        ("reconstruction", ["worse", "worse"], "does not hold"),
        ("reconstruction", ["level", "worse"], "in part"),
        ("reconstruction", ["undecided", "worse"], "not supported"),
        ("linear baseline", ["better", "better"], "holds"),
        ("linear baseline", ["better", "level"], "in part"),
        ("linear baseline", ["worse", "level"], "does not hold"),
    ],
)
def test_a_claim_holds_if_all_comparisons_support_it(claim, found, overall):
    table = pd.DataFrame(
        [
            {"claim": claim, "protocol": "both", "metric": "test_mse", "dataset": "mnist",
             "kan": "KAN", "rival": "CNN", "bottleneck": size, "verdict": verdict}
            for size, verdict in zip((4, 9), found, strict=False)
        ]
    )  # fmt: skip
    summary: Any
    (summary,) = claims.summarise(table).itertuples()
    assert (summary.size, summary.verdict) == ("small", overall)
    counts = summary.better + summary.level + summary.worse + summary.undecided
    assert counts == len(found)
