"""A run is named by its parameters, and refuses what it does not know."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanlib import MODELS, count_parameters
from kanlib.experiments import Run
from kanlib.experiments.run import labels
from kanlib.nn.bases import BASE_FUNCTIONS
from kanlib.nn.grids import REFINEMENTS
from kanlib.training import TrainingConfig
from kanlib.training.config import PRESETS

KNOWN = (
    "dataset, model, bottleneck, seed, preset, hidden, match_parameters, separate_scale, "
    "output, learning_rate, weight_decay, epochs, batch_size"
)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"bottlneck": 9}, f"bottlneck is not a known name; the known ones are {KNOWN}"),
        (
            {"model": "KAN"},
            "model='KAN': .* 'kan', 'kan-pure', 'conv', 'mlp', 'spline-mlp' or 'pca'",
        ),
        ({"model": None}, "model=None"),
        ({"preset": "text"}, "preset='text': .* 'paper' or 'authors'"),
        ({"bottleneck": 0}, "bottleneck=0: .* greater than or equal to 1"),
        ({"bottleneck": "9"}, "bottleneck='9': .* integer"),
        ({"bottleneck": 9.5}, "bottleneck=9.5: .* integer"),
        ({"bottleneck": 9.0}, "bottleneck=9.0: .* integer"),
        ({"bottleneck": True}, "bottleneck=True: .* integer"),
        ({"seed": -1}, "seed=-1: .* greater than or equal to 0"),
        ({"seed": 2**31}, "seed=2147483648: .* less than"),
        ({"seed": None}, "seed=None"),
        ({"hidden": 0}, "hidden=0: .* greater than or equal to 1"),
        ({"match_parameters": 1}, "match_parameters=1: .* boolean"),
        ({"separate_scale": "false"}, "separate_scale='false': .* boolean"),
        ({"output": "relu"}, "output='relu': .* 'tanh' or 'linear'"),
        ({"learning_rate": 0.0}, "learning_rate=0.0: .* greater than 0"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"learning_rate": math.inf}, "learning_rate=inf: .* finite"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3': .* number"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"epochs": 0}, "epochs=0"),
        ({"batch_size": 1.0}, "batch_size=1.0: .* integer"),
        ({"dataset": ""}, "dataset=''"),
        ({"dataset": "../mnist"}, r"dataset='\.\./mnist'"),
        ({"dataset": ".."}, r"dataset='\.\.'"),
        ({"dataset": "a/b"}, "dataset='a/b'"),
        ({"seed": -1, "epochs": 0}, "seed=-1: .*; epochs=0: "),
    ],
    ids=str,
)
def test_a_parameter_that_is_unknown_or_out_of_range_is_named(parameters, message):
    with pytest.raises(ValueError, match=message):
        Run(**parameters)


def test_a_run_is_a_value():
    run = Run(seed=3)
    assert run == Run(seed=3)
    assert run != Run(seed=4)
    assert hash(run) == hash(Run(seed=3))
    with pytest.raises(ValueError, match="frozen"):
        run.seed = 4  # pyright: ignore[reportAttributeAccessIssue]


RATES = st.none() | st.floats(min_value=1e-300, max_value=1e300)
COUNTS = st.none() | st.integers(1, 10**6)
PARAMETERS = {
    "dataset": st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,12}", fullmatch=True),
    "model": st.sampled_from(["kan", "kan-pure", "conv", "mlp", "spline-mlp", "pca"]),
    "bottleneck": st.integers(1, 10**6),
    "seed": st.integers(0, 2**31 - 1),
    "preset": st.sampled_from(["paper", "authors"]),
    "hidden": COUNTS,
    "match_parameters": st.booleans(),
    "separate_scale": st.booleans(),
    "output": st.sampled_from([None, "tanh", "linear"]),
    "learning_rate": RATES,
    "weight_decay": RATES,
    "epochs": COUNTS,
    "batch_size": COUNTS,
    "decay": st.none() | st.floats(min_value=0, max_value=1, exclude_min=True),
    "grid_size": st.integers(1, 10**6),
    "spline_order": st.integers(1, 5),
    "grid_range": st.floats(min_value=1e-300, max_value=1e300),
    "base": st.sampled_from(["silu", "identity", "zero"]),
    "init_noise": st.floats(min_value=0, max_value=1e300),
    "refine": st.sampled_from([None, "finer", "longer"]),
}


def test_the_values_that_a_run_takes_are_those_of_the_rooms_below():
    schema = Run.model_json_schema()["properties"]
    assert schema["model"]["enum"] == list(MODELS)
    assert schema["preset"]["enum"] == list(PRESETS)
    assert schema["base"]["enum"] == list(BASE_FUNCTIONS)
    assert schema["refine"]["anyOf"][0]["enum"] == list(REFINEMENTS)


def test_every_parameter_is_varied_below():
    assert PARAMETERS.keys() == Run.model_fields.keys()


@given(
    st.fixed_dictionaries({}, optional=PARAMETERS), st.fixed_dictionaries({}, optional=PARAMETERS)
)
def test_runs_share_a_file_only_if_they_are_equal(parameters, changes):
    run, other = Run(**parameters), Run(**parameters | changes)
    assert (run == other) == (run.path("results") == other.path("results"))
    assert run.path("results").parts[:4] == ("results", "runs", run.dataset, run.model)
    assert run.path("results").suffix == ".json"


@given(st.sampled_from(sorted(PARAMETERS)), st.data())
def test_a_change_of_any_one_parameter_changes_the_file(name, data):
    first, second = (data.draw(PARAMETERS[name]) for _ in range(2))
    paths = {Run(**{name: value}).path("r") for value in (first, second)}
    assert len(paths) == (1 if Run(**{name: first}) == Run(**{name: second}) else 2)


@pytest.mark.parametrize(
    ("name", "value", "near"),
    [
        ("seed", 7, 107),
        ("bottleneck", 9, 10_009),
        ("hidden", 1, 10),
        ("learning_rate", 1e-3, math.nextafter(1e-3, 1)),
        ("weight_decay", None, 0.0),
        ("dataset", "mnist", "MNIST"),
    ],
)
def test_values_near_each_other_are_kept_apart(name, value, near):
    assert Run(**{name: value}).path("r") != Run(**{name: near}).path("r")


def test_files_sort_by_size_and_name_what_is_not_the_default():
    run = Run(dataset="mnist", bottleneck=34, hidden=9, separate_scale=False, learning_rate=1e-5)
    expected = (
        "runs/mnist/kan/bottleneck=0034_preset=paper_seed=00"
        "_hidden=9_learning_rate=1e-05_separate_scale=false.json"
    )
    assert run.path(".").as_posix() == expected


def test_own_settings_go_over_the_presets():
    run = Run(dataset="mnist", preset="authors", epochs=2, learning_rate=0.5)
    assert run.training() == TrainingConfig(learning_rate=0.5, weight_decay=1e-3, epochs=2)
    assert Run().training() == TrainingConfig()


def test_weights_depend_on_the_seed_and_leave_the_generator_alone():
    before = torch.get_rng_state()
    first, again, other = (
        Run(model="mlp", seed=seed).build_model((1, 8, 8)).state_dict() for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_every_model_parameter_reaches_the_model():
    def size(**parameters) -> int:
        return count_parameters(Run(bottleneck=4, **parameters).build_model((1, 8, 8)))

    kan = 2 * 64 * 4 * 10 + 2 * (4 * 4 + 4)
    assert size() == kan
    assert size(separate_scale=False) == kan - 2 * 64 * 4
    assert size(hidden=6) == 2 * 64 * 6 * 10 + (6 * 4 + 4) + (4 * 6 + 6)
    assert size(model="mlp", match_parameters=True) == pytest.approx(kan, rel=0.02)
    with pytest.raises(ValueError, match="bottleneck=65 must be between 1 and 64"):
        Run(bottleneck=65).build_model((1, 8, 8))


def test_labels_name_what_sets_runs_of_a_model_apart():
    runs = [
        Run(),
        Run(bottleneck=9, seed=1),
        Run(preset="authors"),
        Run(model="mlp", hidden=9),
        Run(model="mlp"),
        Run(model="pca"),
        Run(model="conv", match_parameters=True),
    ]
    assert labels(runs) == [
        "KAN, paper's text",
        "KAN, paper's text",
        "KAN, authors' code",
        "MLP, hidden=9",
        "MLP",
        "PCA",
        "CNN, matched",
    ]
    assert labels([Run(preset="authors"), Run(model="kan-pure")]) == [
        "KAN, authors' code",  # named even where it does not vary
        "KAN layers alone",
    ]
