"""How models are drawn."""

import pytest

from kanlib.models.registry import MODELS
from kanlib.report.figures import look


@pytest.mark.parametrize("model", MODELS)
def test_a_model_has_its_own_colour_and_marker(model):
    drawn = look({"model": model, "bottleneck": 5, "seed": 2, "test_mse": 0.1})
    assert (drawn["color"], drawn["marker"]) == (MODELS[model].colour, MODELS[model].marker)
    assert drawn["markerfacecolor"] == drawn["color"]
    assert drawn["linestyle"] == "-"


@pytest.mark.parametrize("settings", [{"preset": "authors"}, {"hidden": 8}, {"basis": "chebyshev"}])
def test_other_options_are_dashed_and_hollow(settings):
    drawn = look({"model": "kan"} | settings)
    assert (drawn["linestyle"], drawn["markerfacecolor"]) == ("--", "white")


def test_a_model_of_the_same_size_is_dotted():
    drawn = look({"model": "mlp", "match_parameters": True})
    assert (drawn["linestyle"], drawn["markerfacecolor"]) == (":", MODELS["mlp"].colour)


def test_a_longer_training_changes_no_look():
    assert look({"model": "kan", "epochs": 20, "learning_rate": 0.01}) == look({"model": "kan"})
