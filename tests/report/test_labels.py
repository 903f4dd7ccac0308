"""Labels name a model by its own parameters alone."""

import itertools

import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report.labels import label, labelled, words


def frame(*runs: Run) -> pd.DataFrame:
    return pd.DataFrame([run.model_dump() for run in runs])


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "AE-KAN"),
        ({"preset": "authors", "dataset": "mnist"}, "AE-KAN (authors' rate)"),
        ({"model": "kan-pure", "hidden": 32}, "pure KAN, hidden width 32"),
        ({"separate_scale": False}, "AE-KAN, no separate scale"),
        ({"model": "conv"}, "CNN"),
        ({"model": "conv", "match_parameters": True}, "CNN, same size"),
        ({"model": "conv", "output": "linear"}, "CNN, output linear"),
        ({"model": "mlp", "match_parameters": True}, "MLP, same size"),
        ({"model": "spline-mlp", "match_parameters": True}, "Spline MLP, same size"),
        ({"model": "pca"}, "PCA"),
        (
            {"model": "kan-pure", "basis": "chebyshev", "degree": 3},
            "pure KAN, basis chebyshev, degree 3",
        ),
        ({"learning_rate": 0.01, "epochs": 20}, "AE-KAN, learning rate 0.01, epochs 20"),
    ],
)
def test_a_model_is_named_by_what_is_not_the_default(settings, name):
    assert label(settings) == name
    assert label(settings | {"bottleneck": 5, "seed": 3, "test_mse": 0.1}) == name


def test_what_all_runs_have_in_common_is_not_named():
    settings = {"model": "mlp", "epochs": 20, "hidden": 32}
    assert label(settings, {"epochs": 20}) == "MLP, hidden width 32"
    assert label(settings, {"epochs": 30}) == label(settings)  # these are other runs
    assert label(settings, {"epochs": [10, 20]}) == label(settings)  # one of several values


def test_other_rows_change_no_label():
    one = labelled(frame(Run(model="conv")))["label"].tolist()
    others = [Run(model="conv", preset="authors"), Run(model="conv", output="linear"), Run()]
    for beside in itertools.permutations(others):
        assert labelled(frame(Run(model="conv"), *beside))["label"].tolist()[:1] == one


def test_the_label_is_the_first_column_of_any_frame_of_runs():
    table = labelled(frame(Run(), Run(seed=1), Run(hidden=3)).assign(test_mse=0.5))
    assert next(iter(table)) == "label" and list(table)[-1] == "test_mse"
    assert table["label"].tolist() == ["AE-KAN", "AE-KAN", "AE-KAN, hidden width 3"]
    assert labelled(table).equals(table)


def test_two_models_of_one_name_are_refused():
    two = frame(Run(epochs=20), Run())
    with pytest.raises(ValueError, match=r"common={'epochs': 20}.*differ in epochs"):
        labelled(two, {"epochs": 20})
    assert set(labelled(two.assign(bottleneck=[4, 8]), {"epochs": 20})["label"]) == {"AE-KAN"}


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ("bottleneck", "code size"),
        ("test_mse", "test error"),
        ("test_mse_sd", "test error, s.d."),
        ("grid_size", "grid intervals"),
        ("gradient_norm", "gradient norm"),
    ],
)
def test_columns_have_words_for_readers(column, text):
    assert words(column) == text
