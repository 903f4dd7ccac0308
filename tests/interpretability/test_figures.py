"""Figures show the numbers that they are given."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from numpy.testing import assert_array_equal

from kanlib.experiments import measured
from kanlib.interpretability import figures
from kanlib.interpretability.tables import ablations, measures, pruning_curves
from kanlib.models import MODELS
from kanlib.report.figures import save
from kanlib.report.labels import labelled
from kanlib.report.statistics import summarise

COMMON = {"learning_rate": 0.01, "epochs": 1}


@pytest.fixture(scope="module")
def arrays(found):
    return found[0].arrays()


def test_edges_of_a_pixel_are_shifted_to_mean_zero(arrays, tmp_path):
    figure: Any = figures.edges_of_a_pixel(arrays, "(1, 2)", title="edges")
    assert len(figure.axes) == 6
    drawn = figure.axes[4].lines[0]
    assert_array_equal(drawn.get_xdata(), arrays["decoder_points"][1])
    values = arrays["decoder_values"][1]
    assert drawn.get_ydata() == pytest.approx(values - values.mean(), abs=1e-6)
    assert save(figure, tmp_path, "edges")[0].stat().st_size > 0


def test_receptive_fields_are_those_before_and_after_pruning(arrays):
    figure: Any = figures.receptive_fields(arrays["fields"], arrays["fields_kept"])
    before, after = (np.asarray(figure.axes[n].images[0].get_array()) for n in (0, 3))
    assert_array_equal(before, arrays["fields"][0, 0])
    assert_array_equal(after, arrays["fields"][0, 0] * arrays["fields_kept"][0, 0])
    with pytest.raises(ValueError, match=r"kept of shape \(1, 1, 8, 8\)"):
        figures.receptive_fields(arrays["fields"], arrays["fields_kept"][:1])


def test_pruning_has_a_line_a_model_and_rule_in_the_colours_of_the_models(found):
    curves = labelled(pruning_curves(found), COMMON)
    figure: Any = figures.pruning(curves)
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == [
        "pure KAN, by spread",
        "MLP, same size, by spread",
        "MLP, same size, by size of weight",
    ]
    lines = [bars.lines[0] for bars in figure.axes[1].containers]
    assert [to_hex(line.get_color()) for line in lines] == [
        to_hex(MODELS[model].colour) for model in ("kan-pure", "mlp", "mlp")
    ]
    assert lines[1].get_linestyle() != lines[2].get_linestyle()
    first = curves[(curves["model"] == "kan-pure") & (curves["numbers"] > 0)]
    assert_array_equal(lines[0].get_xdata(), first["numbers"])
    assert_array_equal(lines[0].get_ydata(), first["mse"])


def test_ablation_has_the_encoder_apart_from_the_decoder(found):
    table = labelled(ablations(found), COMMON)
    figure: Any = figures.ablation(table)
    for axes, part in zip(figure.axes, ("encoder", "decoder"), strict=True):
        rows = table[table["part"] == part].reset_index()
        for bars, column in zip(
            axes.containers, ("whole", "cubic", "quadratic", "line", "constant"), strict=True
        ):
            assert [bar.get_height() for bar in bars] == rows[column].tolist()
        assert [text.get_text() for text in axes.get_xticklabels()][-1] == "CNN"


def test_formulas_have_bars_of_the_models_that_have_some(found):
    table = measures(found)
    rows = labelled(summarise(table, measured(table)), COMMON)
    figure: Any = figures.formulas(rows)
    heights = [bars[0].get_height() for bars in figure.axes[0].containers]
    kan = rows.loc[0]
    names = ["line_explained", "explained", "noise_line", "noise_explained"]
    assert heights == kan[names].tolist()
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["pure KAN"]


@pytest.mark.parametrize(
    ("draw", "make"), [(figures.pruning, pruning_curves), (figures.ablation, ablations)]
)
def test_models_of_two_code_sizes_are_not_drawn_as_one(found, draw, make):
    table = labelled(make(found), COMMON)
    with pytest.raises(ValueError, match=r"\['digits', 3\], \['digits', 4\]"):
        draw(pd.concat([table, table.assign(bottleneck=4)]))
