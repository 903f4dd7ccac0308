"""Figures hold the numbers they are given, and are written the same each time."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.models.registry import MODELS
from kanlib.report import claims, figures
from kanlib.report.labels import labelled
from kanlib.training import History


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


def named(axes: Any) -> list[str]:
    """What is written beside the lines, from below."""
    return [text.get_text() for text in sorted(axes.texts, key=lambda text: text.xy[1])]


def only(figure: Any) -> Any:
    """Its axes, of which there is one."""
    (axes,) = figure.axes
    return axes


def test_lines_show_the_table_and_the_published_curve():
    paper = pd.DataFrame({"bottleneck": [4, 9], "test_mse": [0.5, 0.25]})
    figure: Any = figures.against_bottleneck(TABLE, "test_mse", published=paper, log=True)
    (axes,) = figure.axes
    drawn = {tuple(line.get_ydata()) for line in axes.lines}
    assert {(0.4, 0.2), (0.3, 0.1), (0.5, 0.25)} <= drawn
    assert named(axes) == ["PCA", "AE-KAN (authors' rate)", "AE-KAN, published"]
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


NAMES = {
    "kan": "$5 or $6",
    "kan-pure": "_mine",
    "conv": r"50% \frac{a <b>&|",
    "mlp": "two\nlines",
    "pca": "\N{HEBREW LETTER ALEF}\N{HEBREW LETTER BET}",
    "spline-mlp": "word " * 20 + "w" * 100,
}


def test_models_may_have_any_names(monkeypatch, tmp_path):
    for model, name in NAMES.items():
        monkeypatch.setitem(MODELS, model, replace(MODELS[model], label=name))
    runs = [Run(model=model, bottleneck=size) for model in NAMES for size in (4, 9)]
    rows = table(*runs, test_mse=[0.4, 0.2] * 6, test_mse_sd=0.0, dead=1)
    image = np.zeros((2, 1, 4, 4))
    lines = figures.against_bottleneck(rows, "test_mse", title="$1 of $2")
    for figure in (
        lines,
        figures.reconstructions(image, dict.fromkeys(NAMES.values(), image), errors={"_mine": 0.5}),
        figures.confusion_difference(np.eye(6), np.eye(6), list(NAMES.values())),
        figures.spread(rows, "dead", NAMES["spline-mlp"]),
    ):
        figures.save(figure, tmp_path, "named")  # a warning would be an error
    shown = {" ".join(text.split()) for text in named(only(lines))}
    assert {" ".join(name.split())[:99] for name in NAMES.values()} <= {text[:99] for text in shown}


@pytest.mark.slow
def test_a_hundred_classes_have_room(tmp_path):
    classes = [f"class number {number}" for number in range(100)]
    figure = figures.confusion_difference(np.eye(100), np.zeros((100, 100)), classes)
    axes: Any = figure.axes[0]
    figures.save(figure, tmp_path, "confusion")
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == classes
        boxes = [label.get_window_extent() for label in labels]
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
    many = np.zeros((100, 1, 4, 4))
    figure = figures.reconstructions(many, {"a": many}, caption="As it is.")
    assert len(figure.axes) == 2 * 24
    assert figure.get_supxlabel() == "The first 24 of 100 images. As it is."


def test_a_class_without_images_has_an_empty_row():
    figure: Any = figures.confusion_difference([[1, 0], [0, 0]], np.eye(2), ["a", "b"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["", "", "", "-100.0"]


def compared(errors: dict[str, list[float]]) -> Any:
    runs = [
        Run(model=model, seed=seed).model_dump() | {"test_mse": error}
        for model, values in errors.items()
        for seed, error in enumerate(values)
    ]
    found = claims.compare(pd.DataFrame(runs))
    return found[found["metric"] == "test_mse"]


def bars(axes: Any) -> list[tuple[float, str]]:
    """Where the marks are, and which."""
    drawn = [container.lines[0] for container in axes.containers]
    return [(line.get_xdata().item(), line.get_marker()) for line in drawn]


def test_a_comparison_is_drawn_as_a_multiple_of_the_rivals_error():
    found = compared({"kan": [3.0, 3.1], "kan-pure": [1.9, 2.3], "conv": [2.0, 2.1]})
    figure: Any = figures.differences(found)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    (worse, its_mark), (undecided, other_mark) = bars(axes)
    assert worse == pytest.approx(1 + 1 / 2.05)
    assert undecided == pytest.approx(1 + 0.05 / 2.05)
    assert its_mark != other_mark
    colours = [container.lines[0].get_color() for container in axes.containers]
    assert colours == [MODELS["kan"].colour, MODELS["kan-pure"].colour]
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["AE-KAN", "pure KAN", "better", "level", "undecided", "worse"]


def test_each_data_set_has_its_panel_and_each_rival_its_lines():
    found = compared({"kan": [3.0, 3.1], "conv": [2.0, 2.1], "pca": [1.0]})
    both = pd.concat([found, found.assign(dataset="cifar10", bottleneck=32)])
    figure: Any = figures.differences(both)
    assert [axes.get_title("left") for axes in figure.axes] == ["digits", "CIFAR-10"]
    for axes, size in zip(figure.axes, (str(Run().bottleneck), "32"), strict=True):
        assert [text.get_text() for text in axes.texts] == ["against CNN", "against PCA"]
        assert [tick.get_text() for tick in axes.get_yticklabels()] == [size, size]


def test_an_interval_that_reaches_zero_ends_at_the_edge():
    figure: Any = figures.differences(compared({"kan": [0.1, 3.0], "conv": [2.0, 2.1]}))
    (axes,) = figure.axes
    ends = axes.containers[0].lines[2][0].get_segments()[0][:, 0]
    assert 0 < ends[0] < axes.get_xlim()[0]


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
    assert [axes.get_title("left") for axes in figure.axes] == ["x", "x", "y", "y"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["test error", "3-NN accuracy"] * 2
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear"] * 2
    curves = [c.lines[0].get_ydata().tolist() for axes in figure.axes for c in axes.containers]
    assert curves == [[2, 4], [2, 4], [-2, -4], [-2, -4]] * 2
    for axes in figure.axes:
        assert {text.get_text() for text in axes.texts} == {"AE-KAN", "PCA"}


def test_confusions_differ_by_points_of_each_true_class():
    ours, theirs = np.array([[3, 1], [0, 10]]), np.array([[1, 1], [0, 7]])
    figure: Any = figures.confusion_difference(ours, theirs, ["a", "b"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    assert texts == ["+25.0", "-25.0", "", ""]


def test_a_row_of_images_ends_with_its_test_error():
    image = np.zeros((2, 1, 4, 4))
    rows = {"a": image, "b": image}
    figure: Any = figures.reconstructions(image, rows, errors={"a": 0.12345}, caption="as it is")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["test error", "0.123"]
    assert figure.get_supxlabel() == "as it is"


@pytest.mark.parametrize(
    ("shape", "name"),
    [
        ((1, 4, 5), "row 1, column 2"),
        ((1, 1, 20), "value 7"),
        ((3, 2, 3), "row 0, column 1, channel 1"),
    ],
)
def test_inputs_are_named_by_where_they_are(shape, name):
    assert figures.input_names([7], shape) == [name]


def test_an_input_outside_the_image_has_no_name():
    with pytest.raises(ValueError, match="places=20"):
        figures.input_names([20], (1, 4, 5))


def test_the_idea_names_layers_and_models():
    titles = [axes.get_title() for axes in figures.idea().axes]
    assert titles == ["Dense layer", "KAN layer", MODELS["kan"].label, MODELS["kan-pure"].label]


def test_training_curves_are_medians_over_the_seeds_in_three_panels_at_most():
    def history(sizes, losses):
        runs = [Run(model="mlp", bottleneck=size, seed=s) for size in sizes for s in range(3)]
        both = [run for run in runs for _ in (1, 2)]
        return table(*both, epoch=[1, 2] * len(runs), test_loss=losses * len(sizes))

    losses = [1.0, 0.5, 2.0, 0.6, 4.0, 0.9]  # two epochs of three seeds
    figure: Any = figures.training_curves(history((4, 9), losses))
    for axes in figure.axes:
        assert [list(line.get_ydata()) for line in axes.lines] == [[2.0, 0.6]]
        [band] = axes.collections
        heights = band.get_paths()[0].vertices[:, 1]
        assert (heights.min(), heights.max()) == (0.5, 4.0)
    assert named(figure.axes[-1]) == ["MLP"]
    figure = figures.training_curves(history(range(1, 12), losses))
    titles = [axes.get_title("left") for axes in figure.axes]
    assert titles == ["code size 1", "code size 6", "code size 11"]


def test_a_line_that_leaves_the_axes_is_named_where_it_does():
    falling = TABLE.assign(test_mse=[0.4, 0.2, 0.3, 1e-9])
    figure: Any = figures.against_bottleneck(falling, "test_mse", log=True)
    (axes,) = figure.axes
    assert axes.get_ylim()[0] == pytest.approx(0.001)
    places = {text.get_text(): text.xy[0] for text in axes.texts}
    assert places["PCA"] < places["AE-KAN (authors' rate)"]


def test_names_beside_lines_keep_their_distance():
    models = ("mlp", "conv", "pca", "kan", "kan-pure")
    runs = [Run(model=model, bottleneck=size) for model in models for size in (4, 9)]
    rows = table(*runs, test_mse=[0.5, 0.2] * 5, test_mse_sd=0.0)
    axes = only(figures.against_bottleneck(rows, "test_mse"))
    heights = np.sort([text.xy[1] for text in axes.texts])
    assert len(heights) == 5 and np.diff(heights).min() > 0.02


def test_elbows_have_a_panel_a_data_set_with_the_published_curve():
    paper = pd.DataFrame({"bottleneck": [4, 9], "test_mse": [0.5, 0.25]})
    figure: Any = figures.elbows({"MNIST": (TABLE, paper), "SVHN": (TABLE, paper)})
    assert [axes.get_title("left") for axes in figure.axes] == ["MNIST", "SVHN"]
    for axes in figure.axes:
        drawn = {tuple(line.get_ydata()) for line in axes.lines}
        assert {(0.4, 0.2), (0.3, 0.1), (0.5, 0.25)} <= drawn


def test_slopes_lead_from_one_number_to_the_other():
    rows = table(Run(), Run(model="pca"), sound=[0.5, 0.9], leaky=[0.7, 0.95])
    axes = only(figures.slopes(rows, {"sound": "a", "leaky": "b"}, ylabel="accuracy"))
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.5, 0.7], [0.9, 0.95]]
    assert named(axes) == ["AE-KAN  +0.200", "PCA  +0.050"]


def test_factors_are_marked_from_no_change():
    rows = pd.DataFrame(
        {"changes": ["x", "y"], "largest": [2.5, 1.002], "where": ["MNIST, 9", "digits, 8"],
         "usual": [1.5, np.nan]},
        index=["first", "second"],
    )  # fmt: skip
    axes = only(figures.factors(rows))
    assert axes.lines[0].get_xdata().tolist() == [2.5, 1.002]
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["2.50  (MNIST, 9)", "1.002  (digits, 8)"]


def test_an_architecture_has_a_box_a_layer():
    layers = [("", 784), ("KAN", 9), ("KAN", 784)]
    axes = only(figures.architectures({"pure KAN": layers}))
    assert len(axes.patches) == 2
    texts = [text.get_text() for text in axes.texts]
    assert texts == ["KAN", "KAN", "image 784", "code 9", "image 784"]


def test_losses_are_drawn_as_they_are():
    figure: Any = figures.losses(History([0.3, 0.2], [0.35, 0.25]))
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
