"""Figures show the numbers that they are given."""

from typing import Any

import pandas as pd
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_array_equal

from kanlib.interpretability import figures
from kanlib.interpretability.comparisons import compare
from kanlib.interpretability.tables import ablations, formulas, pruning_curves
from kanlib.models import MODELS
from kanlib.report.figures import save
from kanlib.report.labels import labelled

COMMON = {"learning_rate": 0.01, "epochs": 1}


@pytest.fixture(scope="module")
def arrays(found):
    return found[0].arrays()


def text_of(figure: Any) -> str:
    return figure.get_suptitle()


def comparisons(analyses) -> Any:
    """Such small models may need no weights at all: as if the rival needed some."""
    table = compare(analyses, COMMON)
    return table.assign(rival_value=table["rival_value"].replace(0, 100.0))


@pytest.fixture
def compared(found):
    return comparisons(found)


def test_a_comparison_is_drawn_in_percent_of_the_rival_better_to_the_right(compared):
    figure: Any = figures.comparisons(compared)
    assert [axes.get_title(loc="left") for axes in figure.axes] == [
        "against MLP, same size",
        "against CNN",  # the Spline MLP was not analysed
    ]
    rows = compared[(compared["rival_model"] == "mlp") & (compared["about"] != "error")]
    for bars, row in zip(figure.axes[0].containers, rows.to_dict("records"), strict=True):
        sign = -1 if row["measure"] == "weights" else 1
        (where,) = bars.lines[0].get_xdata()
        assert where == pytest.approx(100 * sign * row["difference"] / row["rival_value"])
        (ends,) = bars.lines[2][0].get_segments()
        expected = sorted(100 * sign * row[end] / row["rival_value"] for end in ("low", "high"))
        assert ends[:, 0] == pytest.approx(expected)


def test_a_decided_comparison_is_filled_and_the_title_counts_it(compared):
    measures = ["gini", "weights", "probe", "information", "information_most"]
    words = ["better", "undecided", "worse", "undecided", "undecided"]
    verdicts = compared["measure"].map(dict(zip(measures, words, strict=True)))
    figure: Any = figures.comparisons(compared.assign(verdict=verdicts.fillna("worse")))
    faces = [bars.lines[0].get_markerfacecolor() for bars in figure.axes[0].containers]
    assert [face == "white" for face in faces] == [False, True, False, True, True]
    said = "Pure KAN against MLP, same size: better by 1 of 5 measures, worse by 1"
    assert text_of(figure) == said


def test_one_seed_has_no_interval_and_no_comparison_no_figure(found):
    figure: Any = figures.comparisons(comparisons([found[0], found[2]]))
    assert len(figure.axes[0].containers) == 5
    with pytest.raises(ValueError, match="18 rows"):
        figures.comparisons(compare(found[:2]))


def test_a_value_of_zero_has_no_percents(compared):
    figure: Any = figures.comparisons(compared.replace({"rival_value": {100.0: 0.0}}))
    assert len(figure.axes[0].containers) == 4


def test_edges_of_a_pixel_are_shifted_to_mean_zero(arrays, tmp_path):
    figure: Any = figures.edges_of_a_pixel(arrays, title="edges")
    assert len(figure.axes) == 6
    drawn = figure.axes[4].lines[0]
    assert_array_equal(drawn.get_xdata(), arrays["decoder_points"][1])
    values = arrays["decoder_values"][1]
    assert drawn.get_ydata() == pytest.approx(values - values.mean(), abs=1e-6)
    assert save(figure, tmp_path, "edges")[0].stat().st_size > 0


def test_pruning_has_a_line_a_model_in_its_colour_and_names_it(found):
    curves = labelled(pruning_curves(found), COMMON)
    figure: Any = figures.pruning(curves)
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"pure KAN", "MLP, same size"}
    lines = [bars.lines[0] for bars in axes.containers]
    colours = [to_hex(MODELS[model].colour) for model in ("kan-pure", "mlp")]
    assert [to_hex(line.get_color()) for line in lines] == colours
    first: Any = curves[(curves["model"] == "kan-pure") & (curves["kept"] > 0)]
    first = first.sort_values("kept")
    assert_array_equal(lines[0].get_xdata(), first["kept"])
    assert_array_equal(lines[0].get_ydata(), first["mse"])
    few = curves[(curves["kept"] == 0.05) & (curves["rule"] == "spread")]["mse"]
    said = "With 5% of the edges, the test error is {:.3f} for pure KAN and {:.3f} for {}"
    assert text_of(figure) == said.format(*few, "MLP, same size")


def test_ablation_has_the_encoder_apart_from_the_decoder(found):
    table = labelled(ablations(found), COMMON)
    figure: Any = figures.ablation(table)
    for axes, part in zip(figure.axes, ("encoder", "decoder"), strict=True):
        rows: Any = table[table["part"] == part]
        for bars, column in zip(axes.containers, ("line", "quadratic", "cubic"), strict=True):
            rises = rows[column] / rows["whole"] - 1
            assert [bar.get_height() for bar in bars] == pytest.approx(rises.tolist())
        assert [text.get_text() for text in axes.get_xticklabels()][-1] == "CNN"
        assert f"{(rows['line'] / rows['whole'] - 1).iloc[0]:.0%} in the {part}" in text_of(figure)


def test_formulas_have_bars_of_the_models_that_have_some(found):
    table = labelled(formulas(found), COMMON)
    figure: Any = figures.formulas(table)
    for axes, part in zip(figure.axes, ("encoder", "decoder"), strict=True):
        heights = [bars[0].get_height() for bars in axes.containers]
        rows: Any = table[table["part"] == part]
        (row,) = rows.to_dict("records")
        names = ["line", "explained", "noise_line", "noise_explained"]
        assert heights == [row[name] for name in names]
        assert [text.get_text() for text in axes.get_xticklabels()] == ["pure KAN"]
        assert f"{row['line']:.0%}" in text_of(figure)


@pytest.mark.parametrize(
    ("draw", "make"),
    [
        (figures.pruning, pruning_curves),
        (figures.ablation, ablations),
        (figures.formulas, formulas),
        (figures.comparisons, compare),
    ],
)
def test_models_of_two_code_sizes_are_not_drawn_as_one(found, draw, make):
    table = make(found)
    table = table if make is compare else labelled(table, COMMON)
    with pytest.raises(ValueError, match=r"\['digits', 3\], \['digits', 4\]"):
        draw(pd.concat([table, table.assign(bottleneck=4)]))
