"""Figures hold the numbers they are given, and are written the same each time."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.models.registry import MODELS
from kanlib.report import claims, figures
from kanlib.report.labels import labelled


def table(*runs: Run, **columns: Any) -> pd.DataFrame:
    return labelled(pd.DataFrame([run.model_dump() for run in runs]).assign(**columns))


TABLE = table(
    Run(preset="authors", bottleneck=4),
    Run(preset="authors", bottleneck=9),
    Run(model="pca", bottleneck=4),
    Run(model="pca", bottleneck=9),
    test_mse=[0.4, 0.2, 0.3, 0.1],
    test_mse_sd=[0.01, 0.02, np.nan, np.nan],
)


def test_lines_show_the_table_and_the_published_curve():
    paper = pd.DataFrame({"bottleneck": [4, 9], "test_mse": [0.5, 0.25]})
    figure: Any = figures.against_bottleneck(TABLE, "test_mse", published=paper, log=True)
    (axes,) = figure.axes
    drawn = {tuple(line.get_ydata()) for line in axes.lines}
    assert {(0.4, 0.2), (0.3, 0.1), (0.5, 0.25)} <= drawn
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert set(names) == {"AE-KAN (authors' rate)", "PCA", "AE-KAN, published"}
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("code size", "test error")


def test_models_at_one_size_stand_side_by_side():
    one: Any = TABLE[TABLE["bottleneck"] == 9]
    figure: Any = figures.against_bottleneck(one, "test_mse")
    (axes,) = figure.axes
    names = [tick.get_text() for tick in axes.get_xticklabels()]
    assert names == ["AE-KAN (authors' rate)", "PCA"]
    assert axes.get_xlabel() == "code size 9"


def test_a_metric_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="metric='accuracy'"):
        figures.against_bottleneck(TABLE, "accuracy")


def compared(errors: dict[str, list[float]]) -> Any:
    runs = [
        Run(model=model, seed=seed).model_dump() | {"test_mse": error}
        for model, values in errors.items()
        for seed, error in enumerate(values)
    ]
    found = claims.compare(pd.DataFrame(runs))
    return found[found["metric"] == "test_mse"]


def bars(axes: Any) -> list[tuple[float, float]]:
    drawn = [container.lines[0] for container in axes.containers]
    return [(line.get_xdata().item(), line.get_alpha()) for line in drawn]


def test_a_difference_is_drawn_in_percent_of_the_rivals_error():
    found = compared({"kan": [3.0, 3.1], "kan-pure": [1.9, 2.3], "conv": [2.0, 2.1]})
    figure: Any = figures.differences(found)
    (axes,) = figure.axes  # only the CNN was run
    assert axes.get_title() == "against CNN"
    (worse, its_alpha), (undecided, pale) = bars(axes)
    assert worse == pytest.approx(100 / 2.05)
    assert undecided == pytest.approx(100 * 0.05 / 2.05)
    assert its_alpha == 1 and pale < 1
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["AE-KAN", "pure KAN"]
    colours = [container.lines[0].get_color() for container in axes.containers]
    assert colours == [MODELS["kan"].colour, MODELS["kan-pure"].colour]


def test_what_has_no_interval_is_not_drawn():
    figure: Any = figures.differences(compared({"kan": [3.0], "conv": [2.0]}))
    assert [bars(axes) for axes in figure.axes] == [[]]


def test_a_model_keeps_its_colour_whatever_is_beside_it():
    def colour(rows):
        figure: Any = figures.against_bottleneck(rows, "test_mse")
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
    with pytest.raises(ValueError, match=r"original.*\(1, 2, 6, 6\)"):
        figures.reconstructions(np.zeros((1, 2, 6, 6)), {})


def test_measures_have_a_line_of_panels_a_data_set_and_a_column_a_metric():
    runs = [
        Run(dataset=data, model=model, bottleneck=size)
        for data in "xy"
        for model in ("kan", "pca")
        for size in (2, 4)
    ]
    sizes = [run.bottleneck for run in runs]
    negative = [-size for size in sizes]
    rows = table(*runs, test_mse=sizes, test_mse_sd=0.1, knn_accuracy=negative, knn_accuracy_sd=0.0)
    both = ["test_mse", "knn_accuracy"]
    figure: Any = figures.measures(rows, both, log=["test_mse"], title="what it shows")
    assert figure.get_suptitle() == "what it shows"
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["x", "x", "y", "y"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["test error", "3-NN accuracy"] * 2
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"] * 2
    curves = [c.lines[0].get_ydata().tolist() for axes in figure.axes for c in axes.containers]
    assert curves == [[2, 4], [2, 4], [-2, -4], [-2, -4]] * 2
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == {"AE-KAN", "PCA"}


def test_confusions_are_shares_of_each_true_class():
    counts = np.array([[3, 1], [0, 10]])
    figure: Any = figures.confusion_matrices({"sound": counts}, ["a", "b"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["75", "25", "0", "100"]


def test_training_curves_have_one_panel_a_code_size_and_one_line_a_run():
    def history(sizes, seeds):
        runs = [Run(model="mlp", bottleneck=size, seed=seed) for size in sizes for seed in seeds]
        both = [run for run in runs for _ in (1, 2)]
        return table(*both, epoch=[1, 2] * len(runs), test_loss=[1.0, 0.5] * len(runs))

    figure: Any = figures.training_curves(history((4, 9), (0, 1)))
    assert [len(axes.lines) for axes in figure.axes] == [2, 2]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["MLP"]
    figure = figures.training_curves(history(range(1, 12), (0,)))
    assert [axes.get_title() for axes in figure.axes] == [
        f"code size {size}" for size in (1, 3, 5, 7, 9, 11)
    ]


def test_losses_are_drawn_as_they_are():
    figure: Any = figures.losses([0.3, 0.2], [0.35, 0.25])
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.3, 0.2], [0.35, 0.25]]


def test_edge_functions_fill_a_grid_of_panels():
    points, values = np.linspace(-1, 1, 5), np.arange(35.0).reshape(7, 5)
    figure: Any = figures.edge_functions(points, values, [f"pixel {i}" for i in range(7)])
    drawn = [list(axes.lines[0].get_ydata()) for axes in figure.axes if axes.lines]
    assert drawn == values.tolist()


def test_saving_twice_gives_the_same_bytes(tmp_path):
    def save(folder):
        figure = figures.against_bottleneck(TABLE, "test_mse")
        return [path.read_bytes() for path in figures.save(figure, tmp_path / folder, "mse")]

    first, second = save("a"), save("b")
    assert first == second
    assert first[0].startswith(b"\x89PNG") and first[1].startswith(b"%PDF")
