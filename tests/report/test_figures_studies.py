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


def test_effects_has_a_line_for_each_change():
    table = pd.DataFrame(
        {
            "setting": ["unchanged", "grid_size + hidden", "separate_scale", "base"],
            "value": ["–", "10, 32", "False", "zero"],
            "test_mse": [0.1, 0.09, 0.2, 0.3],
            "low": [np.nan, -0.02, 0.05, np.nan],
            "high": [np.nan, 0.0, 0.15, np.nan],
            "verdict": ["–", "better", "worse", "undecided"],
        }
    )
    (axes,) = figures.effects(table).axes
    assert [t.get_text() for t in axes.get_yticklabels()] == [
        "grid intervals = 10, hidden width = 32",
        "separate scale = no",
        "base function = zero",
    ]
    bars: Any = axes.containers
    points = {bar.get_label(): bar.lines[0].get_xydata().tolist() for bar in bars}
    assert points == {"better": [[0.09, 0]], "worse": [[0.2, 1]], "undecided": [[0.3, 2]]}


def test_effects_needs_the_unchanged_runs():
    with pytest.raises(ValueError, match=r"table.*'unchanged'"):
        figures.effects(pd.DataFrame({"setting": ["a"], "test_mse": [1.0]}))


def test_heatmaps_write_their_numbers():
    table = pd.DataFrame(
        [[0.1, 0.2]],
        index=pd.Index([3], name="grid_size"),
        columns=pd.Index([1, 2], name="spline_order"),
    )
    (axes,) = figures.heatmaps({"a": table}).axes
    assert [t.get_text() for t in axes.texts] == ["0.1000", "0.2000"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("grid intervals", "spline order")


def test_steps_draws_medians_and_every_seed():
    runs = [Run(seed=seed) for seed in (0, 0, 1, 1, 2, 2)]
    log = rows(*runs, epoch=[0, 1] * 3, loss=[1, 2, 3, 4, 8, 9], gradient_norm=[1] * 6)
    frame = rows(*runs[::2], test_mse=[0.1, 0.2, 0.3])
    figure = figures.steps(log, frame)
    assert np.asarray(figure.axes[0].lines[0].get_ydata()).tolist() == [3, 4]
    assert np.sort(figure.axes[2].lines[0].get_ydata()).tolist() == [0.1, 0.2, 0.3]


def test_fronts_steps_along_the_unbeaten_and_joins_the_widths_of_a_model():
    runs = [
        Run(model="mlp"),
        Run(model="mlp", match_parameters=True),
        Run(model="mlp", hidden=9),
        Run(grid_size=9),
    ]
    table = rows(*runs, step_ms=[3.0, 1, 2, 4], test_mse=[1.0, 3, 4, 2], parameters=[1, 2, 3, 4])
    front = {("step_ms", "test_mse"): timing.pareto(table, "step_ms", "test_mse")}
    figure = figures.fronts(table, ["step_ms"], ["test_mse"], front)
    lines: Any = figure.axes[0].lines
    step, mlp, kan = lines
    assert step.get_xydata().tolist() == [[1, 3], [3, 1]]
    assert mlp.get_xydata().tolist() == [[3, 1], [1, 3], [2, 4]]
    assert kan.get_xydata().tolist() == [[4, 2]]
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["MLP", "AE-KAN, grid intervals 9"]
    assert figure.axes[0].get_xlabel() == "training step (ms)"
