"""Effects of settings, on records whose numbers are made up."""

import numpy as np
import pandas as pd
import pytest
from records import made_up

from kanlib.experiments import Run
from kanlib.report import sensitivity

BASE = Run(model="kan-pure", bottleneck=9)
CHANGED = {
    "none": {},
    "fine": {"grid_size": 10},
    "both": {"grid_size": 10, "spline_order": 1},
    "rate": {"learning_rate": 0.01},
    "order": {"spline_order": 1},
}


def records(**errors):
    """Name of a change -> test errors of seeds 0, 1, 2."""
    return [
        made_up(Run(model="kan-pure", bottleneck=9, seed=seed, **CHANGED[name]), value)
        for name, values in errors.items()
        for seed, value in enumerate(values)
    ]


def test_changes_name_what_differs_but_the_seed():
    other = Run(model="kan-pure", bottleneck=9, seed=4, grid_size=10, refine="finer")
    assert sensitivity.changes(other, BASE) == {"grid_size": 10, "refine": "finer"}
    assert sensitivity.changes(Run(model="kan-pure", bottleneck=9, seed=4), BASE) == {}


def test_effects_are_paired_over_seeds():
    made = records(none=[1, 2, 3], fine=[0.9, 1.8, 2.9], rate=[1.5, 1.5, 3.5])
    table = sensitivity.effects(made, BASE).set_index("setting")
    assert table.index.tolist() == ["unchanged", "grid_size", "learning_rate"]
    assert table["value"].tolist() == ["–", "10", "0.01"]
    assert table.loc["grid_size", "difference"] == pytest.approx(-0.4 / 3)
    # t interval of (-0.1, -0.2, -0.1): mean -0.1333, s / sqrt(3) = 0.03333, t(2) = 4.303
    assert table.loc["grid_size", "high"] == pytest.approx(-0.4 / 3 + 4.303 / 30, abs=1e-4)
    assert table["verdict"].tolist() == ["–", "undecided", "undecided"]
    made = records(none=[1, 2, 3], fine=[0.9, 1.9, 2.9001], rate=[1.5, 2.5, 3.5001])
    assert sensitivity.effects(made, BASE)["verdict"].tolist() == ["–", "better", "worse"]


def test_the_order_of_the_records_does_not_matter():
    made = records(none=[1, 2, 3], fine=[0.9, 1.8, 2.9])
    table = sensitivity.effects(made, BASE)
    turned = sensitivity.effects(made[::-1], BASE).iloc[::-1].reset_index(drop=True)
    for name in ("setting", "seeds", "verdict"):
        assert turned[name].tolist() == table[name].tolist()
    assert turned["difference"].tolist() == pytest.approx(table["difference"].tolist())


def test_relative_effects_are_fractions_of_the_unchanged_error_in_words():
    made = records(none=[1, 2, 3], both=[0.9, 1.8, 2.9], rate=[1.5, 2.5, 3.5])
    table = sensitivity.relative(sensitivity.effects(made, BASE))
    assert list(table) == ["change", "setting", "verdict", "difference", "low", "high"]
    assert table["change"].tolist() == ["grid intervals 10, spline order 1", "learning rate 0.01"]
    assert table["difference"].tolist() == pytest.approx([-0.4 / 3 / 2, 0.25])
    assert table["high"].to_numpy()[0] == pytest.approx((-0.4 / 3 + 4.303 / 30) / 2, abs=1e-4)


def test_relative_effects_need_the_unchanged_runs():
    with pytest.raises(ValueError, match=r"table.*'unchanged'"):
        sensitivity.relative(pd.DataFrame({"setting": ["a"], "test_mse": [1.0]}))


def test_changes_in_words():
    table = pd.DataFrame(
        {
            "setting": ["unchanged", "separate_scale", "base", "hidden + refine"],
            "value": ["–", "False", "zero", "32, longer"],
        }
    )
    assert sensitivity.in_words(table) == [
        "unchanged",
        "no separate scale",
        "no base function",
        "hidden width 32, grid lengthened halfway",
    ]


def test_one_seed_decides_nothing():
    table = sensitivity.effects(records(none=[1], fine=[0.5]), BASE)
    assert table["verdict"].tolist() == ["–", "undecided"]
    assert table["difference"].tolist() == [0, -0.5]


def test_without_the_unchanged_runs_there_is_no_effect():
    with pytest.raises(ValueError, match="none of the 3 is of base=Run"):
        sensitivity.effects(records(fine=[1, 2, 3]), BASE)


def test_crossed_takes_only_runs_that_change_the_two():
    made = records(none=[1, 3], fine=[2, 2], both=[4, 6], order=[7, 7], rate=[99, 99])
    table = sensitivity.crossed(made, BASE, "grid_size", "spline_order")
    assert table.index.tolist() == [5, 10] and table.columns.tolist() == [1, 3]
    assert table.to_numpy().tolist() == [[7, 2], [5, 2]]
    rates = sensitivity.crossed(made, BASE, "learning_rate", "batch_size")
    assert rates.index.tolist() == [0.001, 0.01] and rates.columns.tolist() == [64]  # the preset's


def test_coverage_is_averaged_over_seeds(tmp_path):
    made = []
    for seed, outside in enumerate((0.2, 0.4)):
        kept = {
            "coverage_before": np.eye(3)[[0, 0]],
            "coverage_after": [[1, 0, 0], [0.5 - outside / 2, 0.5 - outside / 2, outside]],
        }
        run = Run(model="kan-pure", bottleneck=9, seed=seed)
        made.append(made_up(run, 0.1, tmp_path, **kept))
    old = Run(model="kan-pure", bottleneck=9, seed=2)  # from before coverage was kept
    made.append(made_up(old, 0.1, tmp_path, edge_inputs=[0]))
    table = sensitivity.grid_coverage(made, BASE)
    assert table["layer"].tolist() == [1, 2]
    assert table["outside_after"].to_numpy() == pytest.approx([0, 0.3])
    assert table["inside_after"].to_numpy() == pytest.approx([1, 0.35])
    assert table["outside_before"].tolist() == [0, 0]
