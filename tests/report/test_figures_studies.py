"""Figures of the studies show the numbers that they are given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import figures, timing
from kanlib.report.labels import labelled


def rows(*runs: Run, **columns: Any) -> pd.DataFrame:
    return labelled(pd.DataFrame([run.model_dump() for run in runs]).assign(**columns))


def test_effects_are_sorted_percent_with_a_shape_a_verdict():
    table = pd.DataFrame(
        {
            "setting": ["unchanged", "grid_size + hidden", "learning_rate", "base"],
            "value": ["–", "10, 32", "0.1", "zero"],
            "test_mse": [0.1, 0.09, 0.2, 0.101],
            "difference": [0, -0.01, 0.1, 0.001],
            "low": [np.nan, -0.02, 0.05, np.nan],
            "high": [np.nan, 0.0, 0.15, np.nan],
            "verdict": ["–", "better", "worse", "undecided"],
        }
    )
    (axes,) = figures.effects(table).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "learning rate 0.1",
        "no base function",
        "grid intervals 10, hidden width 32",
    ]
    bold = [t.get_fontweight() == "bold" for t in axes.get_yticklabels()]
    assert bold == [True, False, False]
    bars: Any = axes.containers
    points = {bar.get_label(): bar.lines[0].get_xydata().round(9).tolist() for bar in bars}
    assert points == {"better": [[-0.1, 2]], "worse": [[1, 0]], "undecided": [[0.01, 1]]}
    assert len({bar.lines[0].get_marker() for bar in bars}) == 3
    assert [t.get_text() for t in axes.texts] == ["+100.0%", "+1.0%", "\N{MINUS SIGN}10.0%"]


def test_effects_needs_the_unchanged_runs():
    with pytest.raises(ValueError, match=r"table.*'unchanged'"):
        figures.effects(pd.DataFrame({"setting": ["a"], "test_mse": [1.0]}))


def test_heatmaps_write_their_numbers_on_one_scale():
    first, second = (
        pd.DataFrame(
            [errors],
            index=pd.Index([3], name="grid_size"),
            columns=pd.Index([1, 2], name="spline_order"),
        )
        for errors in ([0.1, 0.2], [0.3, 0.9])
    )
    panels = figures.heatmaps({"a": first, "b": second}).axes[:2]
    assert [t.get_text() for t in panels[0].texts] == ["0.100", "0.200"]
    assert (panels[0].get_ylabel(), panels[0].get_xlabel()) == ("grid intervals", "spline order")
    assert {axes.collections[0].get_clim() for axes in panels} == {(0.1, 0.9)}


def test_steps_draws_medians_over_seeds():
    runs = [Run(seed=seed) for seed in (0, 0, 1, 1, 2, 2)]
    log = rows(*runs, epoch=[0, 1] * 3, loss=[1, 2, 3, 4, 8, 9], gradient_norm=[1] * 6)
    figure = figures.steps(log)
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [3, 4]


def test_spread_draws_every_seed_of_one_model_and_of_all():
    runs = [Run(seed=0), Run(seed=1), Run(model="mlp")]
    table = rows(*runs, test_mse=[0.2, 0.3, 0.1], dead_before_code=[4.0, 5, 60])
    against, beside = figures.spread(table, "dead_before_code", "AE-KAN").axes
    scattered: Any = against.lines
    [own] = scattered
    assert own.get_xydata().tolist() == [[4, 0.2], [5, 0.3]]
    drawn: Any = beside.lines
    assert [line.get_ydata().tolist() for line in drawn] == [[0.2, 0.3], [0.1]]
    names = [text.get_text() for text in beside.get_xticklabels()]
    assert names == ["AE-KAN\n(2 seeds)", "MLP\n(1 seed)"]


def test_spread_needs_a_model_of_the_table():
    with pytest.raises(ValueError, match="model='pure KAN'"):
        figures.spread(rows(Run(), test_mse=[0.2], dead=[4]), "dead", "pure KAN")


def test_fronts_steps_along_the_unbeaten_and_joins_the_widths_of_a_model():
    runs = [
        Run(model="mlp"),
        Run(model="mlp", match_parameters=True),
        Run(model="mlp", hidden=9),
        Run(grid_size=9),
        Run(model="pca"),
    ]
    table = rows(
        *runs,
        step_ms=[3.0, 1, 2, 4, np.nan],  # PCA has no step
        test_mse=[1.0, 3, 4, 2, 9],
        parameters=[1, 2, 3, 4, 5],
    )
    front = {"step_ms": timing.pareto(table, "step_ms", "test_mse")}
    (axes,) = figures.fronts(table, "test_mse", front).axes
    lines: Any = axes.lines
    step, mlp, kan, without_steps = lines
    assert without_steps.get_xydata().tolist() == []
    assert step.get_xydata().tolist() == [[1, 3], [3, 1]]
    assert mlp.get_xydata().tolist() == [[3, 1], [1, 3], [2, 4]]
    assert kan.get_xydata().tolist() == [[4, 2]]
    assert [text.get_text() for text in axes.texts] == ["MLP", "AE-KAN, grid intervals 9"]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("training step (ms)", "test error")


def test_fronts_names_a_model_once_by_its_plainest_variant():
    runs = [Run(grid_size=9), Run()]
    table = rows(*runs, test_mse=[1.0, 3], parameters=[1, 2])
    front = {"parameters": timing.pareto(table, "parameters", "test_mse")}
    (axes,) = figures.fronts(table, "test_mse", front).axes
    assert [text.get_text() for text in axes.texts] == ["AE-KAN"]
