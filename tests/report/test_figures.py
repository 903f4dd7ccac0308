"""Figures hold the numbers they are given, and are written the same each time."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.report import figures

TABLE = pd.DataFrame(
    {
        "label": ["KAN, paper's text"] * 2 + ["PCA"] * 2,
        "bottleneck": [4, 9, 4, 9],
        "test_mse": [0.4, 0.2, 0.3, 0.1],
        "test_mse_sd": [0.01, 0.02, np.nan, np.nan],
    }
)


def test_lines_show_the_table_and_the_published_curve():
    paper = pd.DataFrame({"bottleneck": [4, 9], "test_mse": [0.5, 0.25]})
    figure: Any = figures.against_bottleneck(TABLE, "test_mse", "error", published=paper, log=True)
    (axes,) = figure.axes
    drawn = {tuple(line.get_ydata()) for line in axes.lines}
    assert {(0.4, 0.2), (0.3, 0.1), (0.5, 0.25)} <= drawn
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(names) == {"KAN, paper's text", "PCA", "AE-KAN, published"}


def test_an_undecided_difference_is_drawn_pale():
    row = {"rival": "PCA", "kan": "KAN", "dataset": "mnist", "rival_value": 2.0}
    row |= {"bottleneck": 4, "difference": 1.0, "low": 0.5, "high": 1.5, "verdict": "worse"}
    other = row | {"bottleneck": 9, "low": -0.5, "verdict": "undecided"}
    figure: Any = figures.differences(pd.DataFrame([row, other]))
    points = [container.lines[0] for container in figure.axes[0].containers]
    assert [point.get_xdata().tolist() for point in points] == [[50], [50]]
    assert [point.get_alpha() for point in points] == [1, 0.3]


def test_a_model_keeps_its_colour_whatever_is_beside_it():
    def colour(table):
        figure: Any = figures.against_bottleneck(table, "test_mse", "error")
        (axes,) = figure.axes
        return {c.get_label(): c.lines[0].get_color() for c in axes.containers}["PCA"]

    assert colour(TABLE) == colour(TABLE[TABLE["label"] == "PCA"])


def test_images_are_drawn_from_black_to_white():
    image = np.linspace(-1.5, 1.5, 16).reshape(1, 1, 4, 4)
    figure: Any = figures.reconstructions(image, {"model": -image})
    shown = [axes.images[0].get_array() for axes in figure.axes]
    assert len(shown) == 2
    assert shown[0].min() == 0 and shown[0].max() == 1  # values beyond [-1, 1] are clipped
    assert np.asarray(shown[0]) == pytest.approx(1 - np.asarray(shown[1]))


def test_windows_are_drawn_as_lines_over_the_original():
    windows = np.arange(12.0).reshape(2, 1, 1, 6)
    figure: Any = figures.reconstructions(windows, {"model": -windows})
    assert len(figure.axes) == 4
    drawn = [[list(line.get_ydata()) for line in axes.lines] for axes in figure.axes]
    first, second = list(range(6)), list(range(6, 12))
    assert drawn[:2] == [[first, first], [second, second]]
    assert drawn[2:] == [[first, [-x for x in first]], [second, [-x for x in second]]]
    two_channels = np.zeros((1, 2, 1, 6))
    assert len(figures.reconstructions(two_channels, {}).axes[0].lines) == 4
    with pytest.raises(ValueError, match="must be"):
        figures.reconstructions(np.zeros((1, 2, 6, 6)), {})


def test_measures_have_a_line_of_panels_a_data_set_and_a_column_a_metric():
    rows = [
        {"dataset": data, "label": label, "bottleneck": size, "a": size, "a_sd": 0.1, "b": -size,
         "b_sd": np.nan}
        for data in "xy" for label in ("KAN", "PCA") for size in (2, 4)
    ]  # fmt: skip
    figure: Any = figures.measures(pd.DataFrame(rows), {"a": "error", "b": "accuracy"}, log=["a"])
    assert [axes.get_title() for axes in figure.axes] == ["x", "x", "y", "y"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["error", "accuracy"] * 2
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"] * 2
    curves = [c.lines[0].get_ydata().tolist() for axes in figure.axes for c in axes.containers]
    assert curves == [[2, 4], [2, 4], [-2, -4], [-2, -4]] * 2
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["KAN", "PCA"]


def test_confusions_are_shares_of_each_true_class():
    counts = np.array([[3, 1], [0, 10]])
    figure: Any = figures.confusion_matrices({"sound": counts}, ["a", "b"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75", "25", "0", "100"]


def test_training_curves_have_one_panel_a_bottleneck_and_one_line_a_run():
    rows = [
        {"label": "MLP", "bottleneck": size, "seed": seed, "epoch": epoch, "test_loss": 1 / epoch}
        for size in (4, 9) for seed in (0, 1) for epoch in (1, 2)
    ]  # fmt: skip
    figure: Any = figures.training_curves(pd.DataFrame(rows))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    many = pd.DataFrame([rows[0] | {"bottleneck": size} for size in range(1, 12)])
    figure = figures.training_curves(many)
    assert [axes.get_title() for axes in figure.axes] == [
        f"bottleneck {size}" for size in (1, 3, 5, 7, 9, 11)
    ]
    figure = figures.losses([0.3, 0.2], [0.35, 0.25])
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.3, 0.2], [0.35, 0.25]]


def test_edge_functions_fill_a_grid_of_panels():
    points, values = np.linspace(-1, 1, 5), np.arange(35.0).reshape(7, 5)
    figure: Any = figures.edge_functions(points, values, [f"pixel {i}" for i in range(7)])
    drawn = [list(axes.lines[0].get_ydata()) for axes in figure.axes if axes.lines]
    assert drawn == values.tolist()


def test_saving_twice_gives_the_same_bytes(tmp_path):
    def save(folder):
        figure = figures.against_bottleneck(TABLE, "test_mse", "error")
        return [path.read_bytes() for path in figures.save(figure, tmp_path / folder, "mse")]

    first, second = save("a"), save("b")
    assert first == second
    assert first[0].startswith(b"\x89PNG") and first[1].startswith(b"%PDF")
