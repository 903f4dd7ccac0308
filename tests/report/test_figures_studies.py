"""Figures of the studies show the numbers that they are given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import costs
from kanlib.report import figures


def test_effects_has_a_line_for_each_change():
    table = pd.DataFrame(
        {
            "setting": ["unchanged", "grid_size", "base"], "value": ["–", "10", "zero"],
            "test_mse": [0.1, 0.09, 0.2], "low": [np.nan, -0.02, 0.05],
            "high": [np.nan, 0.0, 0.15], "verdict": ["–", "better", "worse"],
        }
    )  # fmt: skip
    (axes,) = figures.effects(table).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["grid_size = 10", "base = zero"]
    bars: Any = axes.containers
    points = {bar.get_label(): bar.lines[0].get_xydata().tolist() for bar in bars}
    assert points["better"] == [[0.09, 0]]
    assert points["worse"] == [[0.2, 1]]


def test_heatmaps_write_their_numbers():
    table = pd.DataFrame([[0.1, 0.2]], index=[3], columns=[1, 2])
    (axes,) = figures.heatmaps({"a": table}).axes
    assert [t.get_text() for t in axes.texts] == ["0.1000", "0.2000"]


def test_steps_draws_medians_and_every_seed():
    log = pd.DataFrame(
        {
            "label": "KAN", "seed": [0, 0, 1, 1, 2, 2], "epoch": [0, 1] * 3,
            "loss": [1, 2, 3, 4, 8, 9], "gradient_norm": [1] * 6,
        }
    )  # fmt: skip
    records = pd.DataFrame({"label": ["KAN"] * 3, "test_mse": [0.1, 0.2, 0.3]})
    figure = figures.steps(log, records)
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [3, 4]
    assert np.sort(figure.axes[2].lines[0].get_ydata()).tolist() == [0.1, 0.2, 0.3]


def test_fronts_steps_along_the_unbeaten():
    names = ["MLP", "KAN, matched", "KAN, hidden=8", "KAN, grid_size=9"]  # widths share a name
    table = pd.DataFrame({"label": names, "c": [3.0, 1, 2, 4], "l": [1.0, 3, 4, 2]})
    table["parameters"] = [1, 2, 3, 4]
    front = {("c", "l"): costs.pareto(table, "c", "l")}
    figure = figures.fronts(table, {"c": "cost"}, {"l": "loss"}, front)
    line: Any = figure.axes[0].lines[0]
    assert line.get_xydata().tolist() == [[1, 3], [3, 1]]
    assert [t.get_text() for t in figure.legends[0].get_texts()] == [
        "MLP", "KAN", "KAN, grid_size=9",
    ]  # fmt: skip


def test_effects_needs_the_unchanged_runs():
    with pytest.raises(ValueError, match="one row must have the setting 'unchanged'"):
        figures.effects(pd.DataFrame({"setting": ["a"], "test_mse": [1.0]}))
