"""A search: the best try of each arm, by the validation error alone."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import figures, search
from kanlib.report.labels import labelled

HELD_OUT = {"validation": 0.2, "measured_on": "validation", "bottleneck": 3}


def frame(*settings):
    """A row for each (parameters, validation error)."""
    rows = [Run(**HELD_OUT, **run).model_dump() | {search.ERROR: e} for run, e in settings]
    return pd.DataFrame(rows)


@pytest.fixture
def tried():
    return frame(
        ({"model": "mlp", "hidden": 5, "learning_rate": 0.1}, 0.3),
        ({"model": "mlp", "hidden": 5, "learning_rate": 0.2}, 0.2),
        ({"model": "kan-shared", "hidden": 5, "learning_rate": 0.1}, 0.1),
        ({"model": "kan-shared", "hidden": 5, "learning_rate": 0.2}, 0.4),
        ({"model": "mlp", "hidden": 6, "learning_rate": 0.1}, 0.25),
        ({"model": "mlp", "hidden": 6, "learning_rate": 0.2}, 0.26),
    )


def test_each_arm_has_its_best_try_and_the_best_arm_is_first(tried):
    found = search.best(tried)
    assert found[search.ERROR].tolist() == [0.1, 0.2, 0.25]
    assert found["learning_rate"].tolist() == [0.1, 0.2, 0.1]
    assert found["tries"].tolist() == [2, 2, 2]


def test_arms_with_unequal_tries_are_refused(tried):
    with pytest.raises(ValueError, match=r"tries of the arms: \[1, 2\]"):
        search.best(tried.iloc[1:])


def test_every_try_is_drawn_and_the_chosen_ones_are_filled(tried):
    common = HELD_OUT | {"learning_rate": [0.1, 0.2]}
    chosen = labelled(search.best(tried).assign(learning_rate=None), common)
    table = labelled(tried.assign(learning_rate=None), common)
    [axes] = figures.tries(table, chosen).axes
    drawn = np.concatenate([line.get_xydata() for line in axes.lines])
    assert len(drawn) == 6 + 3
    assert set(drawn[:, 1]) == {0, 1, 2}
    names = axes.get_yticklabels()
    assert [text.get_fontweight() for text in names] == ["bold", "normal", "normal"]


def played(*settings):
    """Runs of a league: five seeds for each (parameters, test error)."""
    rows = [
        Run(**{"bottleneck": 3, **run}, seed=seed).model_dump() | {"test_mse": e + seed / 1000}
        for run, e in settings
        for seed in range(1 if run["model"] == "pca" else 5)
    ]
    return pd.DataFrame(rows)


BEST_MLP = {"model": "mlp", "hidden": 5, "learning_rate": 0.2}
SECOND_MLP = {"model": "mlp", "hidden": 6, "learning_rate": 0.1}
BEST_KAN = {"model": "kan-shared", "hidden": 5, "learning_rate": 0.1}


@pytest.fixture
def ranked(tried):
    rows = played((SECOND_MLP, 0.1), (BEST_MLP, 0.2), ({"model": "pca"}, 0.15), (BEST_KAN, 0.18))
    return search.named(search.league(search.best(tried), rows))


def test_a_league_is_in_the_order_of_validation_errors_not_of_test_errors(ranked):
    assert list(dict.fromkeys(ranked["label"])) == [
        "shared KAN, hidden width 5",
        "MLP, hidden width 5",
        "MLP, hidden width 6",
        "PCA",
    ]


def test_a_try_that_was_not_the_best_of_its_arm_may_not_be_tested(tried):
    with pytest.raises(ValueError, match="not the best try"):
        search.league(search.best(tried), played((BEST_MLP | {"learning_rate": 0.1}, 0.2)))


def test_the_best_kan_meets_the_best_rival_of_each_kind_by_validation(ranked):
    found = search.verdicts({"here": ranked}).set_index("against")
    # The other MLP has less test error, but more validation error.
    assert found.loc["MLP", "rival"] == "MLP, hidden width 5"
    assert found.loc["MLP", "difference"] == pytest.approx(-0.02 / 0.202)
    assert found["verdict"].to_dict() == {"MLP": "better", "PCA": "worse"}
    assert found["pairs"].tolist() == [5, 5]


def test_a_convolutional_kan_meets_the_cnn_and_no_other(tried):
    conv_kan, cnn = {"model": "kan-shared-conv"}, {"model": "cnn-dense"}
    both = pd.concat(
        [
            tried,
            frame(
                *[({**m, "learning_rate": r}, 0.01) for m in (conv_kan, cnn) for r in (0.1, 0.2)]
            ),
        ]
    )
    arms = [run | {"learning_rate": 0.1} for run in (conv_kan, cnn)]
    rows = played((BEST_MLP, 0.2), (BEST_KAN, 0.18), (arms[0], 0.05), (arms[1], 0.06))
    found = search.verdicts({"here": search.named(search.league(search.best(both), rows))})
    assert found["kan"].tolist() == ["shared KAN, hidden width 5", "shared conv KAN"]
    assert found["rival"].tolist() == ["MLP, hidden width 5", "CNN, dense code"]


def test_the_width_of_the_best_dense_kan_is_told_where_there_is_one(ranked):
    images = (1, 8, 8)
    assert search.relative_width(ranked, images) == 5 / 3
    assert np.isnan(search.relative_width(ranked[ranked["model"] != "kan-shared"], images))


def test_a_line_for_each_cell_of_the_league(ranked):
    [axes] = figures.league(search.verdicts({"here": ranked, "there": ranked})).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["here", "there"]
    bars: Any = axes.containers
    drawn = [bar.lines[0].get_xdata()[0] for bar in bars]
    assert sorted(drawn)[:2] == pytest.approx([-0.02 / 0.202] * 2)
