"""Effects of settings, on records whose numbers are made up."""

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import sensitivity

BASE = Run(model="kan-pure", bottleneck=9)


def made_up(**errors):
    """Runs and records: name of a change -> test errors of seeds 0, 1, 2."""
    changed = {
        "none": {}, "fine": {"grid_size": 10}, "both": {"grid_size": 10, "spline_order": 1},
        "rate": {"learning_rate": 0.01}, "order": {"spline_order": 1},
    }  # fmt: skip
    runs, rows = [], []
    for name, values in errors.items():
        for seed, value in enumerate(values):
            runs.append(Run(model="kan-pure", bottleneck=9, seed=seed, **changed[name]))
            rows.append({"seed": seed, "test_mse": value, "knn_accuracy": 0.5, "parameters": 7})
    return pd.DataFrame(rows), runs


def test_changes_name_what_differs_but_the_seed():
    other = Run(model="kan-pure", bottleneck=9, seed=4, grid_size=10, refine="finer")
    assert sensitivity.changes(other, BASE) == {"grid_size": 10, "refine": "finer"}
    assert sensitivity.changes(Run(model="kan-pure", bottleneck=9, seed=4), BASE) == {}


def test_effects_are_paired_over_seeds():
    records, runs = made_up(none=[1, 2, 3], fine=[0.9, 1.8, 2.9], rate=[1.5, 1.5, 3.5])
    table = sensitivity.effects(records, runs, BASE).set_index("setting")
    assert table.index.tolist() == ["unchanged", "grid_size", "learning_rate"]
    assert table.loc["grid_size", "difference"] == pytest.approx(-0.4 / 3)
    # t interval of (-0.1, -0.2, -0.1): mean -0.1333, s / sqrt(3) = 0.03333, t(2) = 4.303
    assert table.loc["grid_size", "high"] == pytest.approx(-0.4 / 3 + 4.303 / 30, abs=1e-4)
    assert table["verdict"].tolist() == ["–", "undecided", "undecided"]
    records, runs = made_up(none=[1, 2, 3], fine=[0.9, 1.9, 2.9001], rate=[1.5, 2.5, 3.5001])
    assert sensitivity.effects(records, runs, BASE)["verdict"].tolist() == ["–", "better", "worse"]


def test_without_the_unchanged_runs_there_is_no_effect():
    records, runs = made_up(fine=[1, 2, 3])
    with pytest.raises(ValueError, match="none of the 3 equals base=Run"):
        sensitivity.effects(records, runs, BASE)


def test_crossed_takes_only_runs_that_change_the_two():
    records, runs = made_up(none=[1, 3], fine=[2, 2], both=[4, 6], order=[7, 7], rate=[99, 99])
    table = sensitivity.crossed(records, runs, BASE, "grid_size", "spline_order")
    assert table.index.tolist() == [5, 10] and table.columns.tolist() == [1, 3]
    assert table.to_numpy().tolist() == [[7, 2], [5, 2]]
    rates = sensitivity.crossed(records, runs, BASE, "learning_rate", "batch_size")
    assert rates.index.tolist() == [0.001, 0.01] and rates.columns.tolist() == [64]  # the preset's


def test_coverage_is_averaged_over_seeds(tmp_path):
    paths = []
    for seed, outside in enumerate((0.2, 0.4)):
        paths.append(tmp_path / f"{seed}.json")
        rows = np.array([[1, 0, 0], [0.5 - outside / 2, 0.5 - outside / 2, outside]])
        np.savez(
            paths[-1].with_suffix(".npz"), coverage_before=np.eye(3)[[0, 0]], coverage_after=rows
        )
    paths.append(tmp_path / "old.json")
    np.savez(paths[-1].with_suffix(".npz"), originals=np.zeros(1))  # from before coverage was kept
    runs = [Run(model="kan-pure", bottleneck=9, seed=seed) for seed in range(3)]
    table = sensitivity.grid_coverage(pd.DataFrame({"path": paths}), runs, BASE)
    assert table["layer"].tolist() == [1, 2]
    assert table["outside_after"].to_numpy() == pytest.approx([0, 0.3])
    assert table["inside_after"].to_numpy() == pytest.approx([1, 0.35])
    assert table["outside_before"].tolist() == [0, 0]
