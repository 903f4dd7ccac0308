"""A title says what its table says."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.report import messages

AE, PURE, MLP, PCA = "AE-KAN", "pure KAN", "MLP, same size", "PCA"


def errors(rows: dict[str, list[float]]) -> pd.DataFrame:
    return pd.DataFrame(rows, index=pd.Index([4, 9], name="bottleneck")).T


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({AE: [3, 3], PURE: [1, 1], PCA: [2, 2]}, "Only pure KAN beats PCA"),
        (
            {AE: [3, 3], PURE: [1, 1], MLP: [1, np.nan], PCA: [2, 2]},
            "Only pure KAN and the same-size MLP beat PCA",
        ),
        ({AE: [1, 3], MLP: [1, 1], PCA: [2, 2]}, "The same-size MLP beats PCA at every code size"),
        ({AE: [1, 3], PCA: [2, 2]}, "No model beats PCA at every code size"),
        ({AE: [3, 3], PCA: [2, 2]}, "No model beats PCA"),
        ({AE: [3, 3]}, ""),
    ],
)
def test_errors_say_who_beats_pca(rows, message):
    assert messages.of_errors(errors(rows)) == message


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({AE: [1.03, 2]}, "The published curve reproduces within 3%"),
        (
            {PURE: [5, 5], AE: [1.03, 2], PCA: [0.5, 0.5]},
            "The published curve reproduces within 3%, and lies above PCA",
        ),
        ({AE: [1.03, 2], PCA: [2, 0.5]}, "The published curve reproduces within 3%"),
        ({AE: [1.5, 2], PCA: [0.5, 0.5]}, "No model beats PCA"),
    ],
)
def test_errors_say_whether_the_published_curve_reproduces(rows, message):
    assert messages.of_errors(errors(rows), pd.Series({4: 1.0, 9: 2.0, 16: 3.0})) == message


def test_images_say_which_come_closest():
    said = messages.of_reconstructions(pd.Series({AE: 0.2, MLP: 0.1}), 9)
    assert "9 numbers" in said and said.endswith("the same-size MLP")


def test_a_jump_of_the_error_is_named():
    def history(losses: list[float]) -> pd.DataFrame:
        return pd.DataFrame(
            {"label": AE, "bottleneck": 4, "seed": [0] * 3 + [1] * 3, "test_loss": losses}
        )

    jump = messages.of_training(history([1, 0.5, 0.4, 0.2, 0.25, 0.1]))
    assert AE in jump and "25%" in jump
    assert AE not in messages.of_training(history([1, 0.5, 0.4, 1, 0.5, 0.51]))


def test_straight_edges_are_counted():
    x = np.linspace(-1, 1, 21)
    values = np.stack([x, -2 * x + 1, x**2])
    assert messages.of_edges(x, values).startswith("2 of these 3")


def test_matrices_differ_by_points_of_each_true_class():
    ours: Any = [[3, 1], [0, 10]]
    assert "25.0 points" in messages.of_confusion(ours, [[1, 1], [0, 7]])
