"""Verdicts on the paper's claims, on records whose answer is known."""

import io
import math
from typing import Any

import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import claims


def rows_of(
    model: str, *, settings: dict[str, Any] | None = None, first_seed: int = 0, **metrics: Any
) -> pd.DataFrame:
    """Rows of one configuration, a seed a value; a metric that is not given is 1."""
    count = len(next(iter(metrics.values())))
    place: dict[str, Any] = {"dataset": "mnist", "bottleneck": 9, "model": model}
    runs = [
        Run(**place | (settings or {}), seed=first_seed + number).model_dump()
        for number in range(count)
    ]
    defaults = dict.fromkeys(
        (
            "test_mse",
            "knn_accuracy",
            "leaky_knn_code_accuracy",
            "leaky_knn_reconstruction_accuracy",
        ),
        [1.0] * count,
    )
    return pd.DataFrame(runs).assign(**defaults | metrics)


def compared(*parts: pd.DataFrame) -> pd.DataFrame:
    return claims.compare(pd.concat(parts, ignore_index=True))


def row(table: pd.DataFrame, **values: Any) -> Any:
    (only,) = table.merge(pd.DataFrame([values])).itertuples()
    return only


def plain(table: pd.DataFrame) -> pd.DataFrame:
    """None where there is nothing, whatever the types of the columns are."""
    return table.astype(object).where(table.notna(), None)


SAME_SIZE = {"match_parameters": True}


def test_a_lower_error_is_better_and_seeds_are_paired():
    kan = rows_of("kan", test_mse=[0.10, 0.20, 0.30])
    cnn = rows_of("conv", test_mse=[0.21, 0.30, 0.39]).iloc[::-1]
    found = row(compared(kan, cnn), claim="reconstruction")
    assert found.difference == pytest.approx(-0.10)
    half = 4.302652729 * 0.01 / math.sqrt(3)  # t(0.975, 2), sd of -0.11, -0.10, -0.09
    assert (found.low, found.high) == pytest.approx((-0.10 - half, -0.10 + half))
    assert (found.kan_value, found.rival_value) == pytest.approx((0.2, 0.3))
    assert (found.pairs, found.paired_over, found.verdict) == (3, "seed", "better")
    assert (found.kan, found.rival) == ("AE-KAN", "CNN")
    assert (found.kan_model, found.kan_preset) == ("kan", "paper")
    assert (found.rival_model, found.rival_match_parameters) == ("conv", False)


def test_a_lower_accuracy_is_worse():
    table = compared(
        rows_of("kan", knn_accuracy=[0.5, 0.6]), rows_of("conv", knn_accuracy=[0.8, 0.9])
    )
    assert row(table, claim="accuracy", protocol="sound").verdict == "worse"


def test_the_papers_accuracy_is_of_the_kans_images_and_the_cnns_code():
    kan = rows_of(
        "kan", leaky_knn_reconstruction_accuracy=[0.9, 0.9], leaky_knn_code_accuracy=[0, 0]
    )
    cnn = rows_of(
        "conv", leaky_knn_code_accuracy=[0.7, 0.7], leaky_knn_reconstruction_accuracy=[1, 1]
    )
    found = row(compared(kan, cnn), claim="accuracy", protocol="paper")
    assert (found.kan_value, found.rival_value) == pytest.approx((0.9, 0.7))


def test_rounds_of_a_timing_are_paired_and_not_called_seeds():
    rounds = [
        rows_of(model, step_ms=times)
        .drop(columns=["seed", "test_mse", "knn_accuracy"])
        .assign(round=[0, 1])
        for model, times in (("kan", [1.0, 1.1]), ("conv", [3.0, 3.2]))
    ]
    found = row(compared(*rounds), rival="CNN", metric="step_ms")
    assert (found.verdict, found.paired_over) == ("better", "round")
    assert found.difference == pytest.approx(-2.05)


def test_what_was_not_measured_is_not_compared():
    table = compared(rows_of("kan", test_mse=[0.1, 0.2]), rows_of("conv", test_mse=[0.1, 0.2]))
    assert "step_ms" not in set(table["metric"])


@pytest.mark.parametrize(("settings", "seed"), [({}, 0), ({}, 4), ({"epochs": 20}, 0)])
def test_pca_is_the_same_for_every_seed_and_training(settings, seed):
    pca = rows_of("pca", settings=settings, first_seed=seed, test_mse=[0.1])
    kan = rows_of("kan", settings={"epochs": 3}, test_mse=[0.2, 0.3, 0.4])
    found = row(compared(kan, pca), rival="PCA", metric="test_mse")
    assert (found.pairs, found.difference) == (3, pytest.approx(0.2))


def test_one_seed_decides_nothing():
    table = compared(rows_of("kan", test_mse=[0.2]), rows_of("conv", test_mse=[0.9]))
    found = row(table, claim="reconstruction")
    assert found.verdict == "undecided" and math.isnan(found.low)


def test_a_difference_that_does_not_matter_is_level():
    error = claims.MARGIN / 2
    kan = rows_of("kan", test_mse=[1 + error] * 2, knn_accuracy=[0.5, 0.5])
    accuracy = 0.5 + 0.9 * claims.ACCURACY_MARGIN
    table = compared(kan, rows_of("conv", test_mse=[1.0, 1.0], knn_accuracy=[accuracy] * 2))
    assert row(table, claim="reconstruction").verdict == "level"
    assert row(table, claim="accuracy", protocol="sound").verdict == "level"


def test_without_a_rival_a_comparison_says_so():
    table = compared(
        rows_of("kan", settings={"bottleneck": 4}, test_mse=[0.2]), rows_of("conv", test_mse=[0.9])
    )
    assert set(table["verdict"]) == {"no rival"}
    found = row(table, claim="reconstruction")
    assert (found.bottleneck, found.rival, found.pairs) == (4, "CNN", 0)
    assert math.isnan(found.difference) and math.isnan(found.rival_value)
    assert set(table["rival"]) == {"CNN", "CNN, same size", "MLP, same size", "PCA", "linear"}


def test_without_a_common_seed_a_comparison_says_so():
    table = compared(
        rows_of("kan", test_mse=[0.2, 0.3]), rows_of("conv", first_seed=5, test_mse=[0.9, 0.8])
    )
    found = row(table, claim="reconstruction")
    assert (found.verdict, found.pairs) == ("no common seed", 0)


def test_a_rival_is_trained_as_the_kan_is():
    longer = {"epochs": 20, "learning_rate": 0.01}
    table = compared(
        rows_of("kan", settings=longer, test_mse=[0.2, 0.2]),
        rows_of("conv", settings=longer, test_mse=[0.3, 0.3]),
        rows_of("conv", test_mse=[0.1, 0.1]),
    )
    assert row(table, claim="reconstruction").rival_value == pytest.approx(0.3)


def test_a_rival_of_the_same_size_is_as_large_as_this_kan():
    bare = {"separate_scale": False}
    table = compared(
        rows_of("kan", settings=bare, test_mse=[0.2, 0.2]),
        rows_of("mlp", settings=SAME_SIZE | bare, test_mse=[0.3, 0.3]),
        rows_of("mlp", settings=SAME_SIZE, test_mse=[0.1, 0.1]),
    )
    found = row(table, rival_model="mlp", metric="test_mse")
    assert found.rival_value == pytest.approx(0.3)


COMMITTED = [
    rows_of("kan", settings={"preset": "authors"}, test_mse=[0.3, 0.31, 0.29]),
    rows_of("kan", test_mse=[0.1, 0.2, 0.3]),
    rows_of("kan-pure", test_mse=[0.15, 0.2, 0.3]),
    rows_of("conv", test_mse=[0.21, 0.30, 0.39]),
    rows_of("conv", settings=SAME_SIZE, test_mse=[0.11, 0.2, 0.2]),
    rows_of("mlp", settings=SAME_SIZE, test_mse=[0.1, 0.1, 0.2]),
    rows_of("pca", test_mse=[0.1]),
    rows_of("linear", test_mse=[0.1, 0.2, 0.2]),
]


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("conv", {"preset": "authors"}),
        ("conv", {"output": "linear"}),
        ("conv", {"epochs": 20}),
        ("mlp", {}),
        ("mlp", {"hidden": 32}),
        ("spline-mlp", SAME_SIZE),
        ("mlp", SAME_SIZE | {"separate_scale": False}),
    ],
)
def test_another_run_changes_no_comparison(model, settings):
    added = rows_of(model, settings=settings, test_mse=[5.0])  # one seed
    before = compared(*COMMITTED)
    assert "no rival" not in set(before["verdict"])
    pd.testing.assert_frame_equal(compared(*COMMITTED, added), before)
    pd.testing.assert_frame_equal(compared(added, *COMMITTED), before)


@pytest.mark.parametrize("settings", [{"hidden": 8}, {"basis": "chebyshev"}, {"epochs": 3}])
def test_another_kan_adds_its_own_comparisons_alone(settings):
    before = compared(*COMMITTED)
    after = compared(*COMMITTED, rows_of("kan", settings=settings, test_mse=[5.0]))
    kept: Any = after[after["kan"].isin(before["kan"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(plain(kept), plain(before))
    assert len(after) > len(before)


def test_labels_leave_out_what_all_runs_have_in_common():
    longer = {"epochs": 20}
    frame = pd.concat(
        [rows_of(model, settings=longer, test_mse=[0.2, 0.1]) for model in ("kan", "conv")]
    )
    found = row(claims.compare(frame, longer), claim="reconstruction")
    assert (found.kan, found.rival) == ("AE-KAN", "CNN")
    assert found.kan_epochs == 20


@pytest.mark.parametrize(
    ("claim", "found", "overall"),
    [
        ("reconstruction", ["better", "better"], "holds"),
        ("reconstruction", ["better", "level"], "holds"),
        ("reconstruction", ["better", "undecided"], "not refuted"),
        ("reconstruction", ["better", "no rival"], "holds"),
        ("reconstruction", ["undecided"], "undecided"),
        ("reconstruction", ["worse", "worse"], "does not hold"),
        ("reconstruction", ["level", "worse"], "in part"),
        ("reconstruction", ["undecided", "worse"], "not supported"),
        ("reconstruction", ["no rival", "no common seed"], "not compared"),
        ("linear baseline", ["better", "better"], "holds"),
        ("linear baseline", ["better", "level"], "in part"),
        ("linear baseline", ["worse", "level"], "does not hold"),
    ],
)
def test_a_claim_holds_if_all_comparisons_support_it(claim, found, overall):
    one = compared(*COMMITTED)
    one = one[(one["claim"] == claim) & (one["metric"] == "test_mse")].iloc[[0]]
    table = pd.concat(
        [one.assign(bottleneck=size, verdict=v) for size, v in zip((4, 9), found, strict=False)]
    )
    summary: Any
    (summary,) = claims.summarise(table).itertuples()
    assert (summary.size, summary.verdict) == ("small", overall)
    compared_ones = summary.better + summary.level + summary.worse + summary.undecided
    assert compared_ones + summary.not_compared == len(found)


def test_a_summary_of_a_file_is_that_of_the_table():
    table = compared(*COMMITTED)
    again = pd.read_csv(io.StringIO(table.to_csv(index=False)))
    pd.testing.assert_frame_equal(plain(claims.summarise(again)), plain(claims.summarise(table)))
