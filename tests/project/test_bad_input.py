"""A wrong parameter stops a notebook at once, and the message names it and its value."""

import pytest
from cells import NOTEBOOKS, default_parameters, run_cells

TRAIN = "notebooks/02_train_autoencoder.ipynb"
CASES = [
    ("dataset", "digitz", FileNotFoundError),
    ("dataset", "../mnist", ValueError),
    ("dataset", 5, ValueError),
    ("model", "cnn", ValueError),
    ("bottleneck", "8", ValueError),
    ("bottleneck", 65, ValueError),
    ("seed", 1.5, ValueError),
    ("preset", "text", ValueError),
    ("hidden", "9", ValueError),
    ("match_parameters", "false", ValueError),
    ("separate_scale", "false", ValueError),
    ("layer_norm", "false", ValueError),
    ("output", "relu", ValueError),
    ("learning_rate", "1e-3", ValueError),
    ("weight_decay", -1.0, ValueError),
    ("epochs", 0, ValueError),
    ("batch_size", 0, ValueError),
    ("decay", 1.5, ValueError),
    ("basis", "splines", ValueError),
    ("grid_size", 0, ValueError),
    ("spline_order", 6, ValueError),
    ("grid_range", 0.0, ValueError),
    ("degree", 3, ValueError),  # B-splines have an order
    ("groups", 8, ValueError),  # B-splines are shared by none
    ("basis_options", 5, ValueError),
    ("base", "relu", ValueError),
    ("init_noise", -0.1, ValueError),
    ("refine", "shorter", ValueError),
    ("update_grid", "ranges", ValueError),
    ("activation", "tanh", ValueError),
    ("depth", 9, ValueError),
    ("functions", 0, ValueError),
    ("input_functions", "yes", ValueError),
    ("tied", "yes", ValueError),
    ("input_scale", True, ValueError),  # AE-KAN has none
    ("centred", "yes", ValueError),
    ("linear_path", True, ValueError),  # likewise
    ("budget", 0, ValueError),
    ("validation", 1.0, ValueError),
    ("patience", 0, ValueError),
    ("measured_on", "train", ValueError),
    ("tasks", "yes", ValueError),
    ("data_root", 5, TypeError),
    ("results_dir", 5, TypeError),
    ("device", 5, TypeError),
    ("fast_cpu", "false", TypeError),
    ("compiled", "yes", TypeError),
    ("checkpoint", "yes", TypeError),
]
OTHERS = [str(path) for path in NOTEBOOKS if str(path) != TRAIN]


@pytest.fixture(autouse=True)
def no_training(own_cache, monkeypatch):
    """Training would be another error."""
    monkeypatch.setattr("kanlib.experiments.execution.train", None)


@pytest.mark.parametrize(("parameter", "value", "error"), CASES)
def test_a_wrong_parameter_stops_the_training_notebook(parameter, value, error, tmp_path):
    wrong = {"results_dir": str(tmp_path / "results"), parameter: value}
    with pytest.raises(error) as caught:
        run_cells(TRAIN, wrong)
    assert f"{parameter}={value!r}" in str(caught.value)
    assert not list(tmp_path.rglob("*.json"))


def test_every_parameter_of_the_training_notebook_is_tried():
    assert {parameter for parameter, *_ in CASES} == default_parameters(TRAIN).keys()


@pytest.mark.parametrize(
    ("path", "parameter"),
    [(path, parameter) for path in OTHERS for parameter in default_parameters(path)],
)
def test_a_parameter_of_another_type_stops_a_notebook(path, parameter):
    with pytest.raises(TypeError, match=f"{parameter}=5.5"):
        run_cells(path, {parameter: 5.5})


@pytest.mark.parametrize(
    "path", [path for path in OTHERS if "experiment" in default_parameters(path)]
)
def test_an_experiment_that_is_not_there_stops_a_notebook(path):
    with pytest.raises(FileNotFoundError, match=r"mnits\.yaml"):
        run_cells(path, {"experiment": "mnits"})


def test_a_folder_that_cannot_be_made_stops_the_notebook_before_it_trains(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file"):
        run_cells(TRAIN, {"results_dir": str(tmp_path / "file")})
