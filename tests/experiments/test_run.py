"""A run is named by its parameters, and refuses what it does not know."""

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanlib import (
    MODELS,
    BSpline,
    Chebyshev,
    Fourier,
    GaussianRBF,
    KANLinear,
    MexicanHat,
    Polynomial,
    RationalLinear,
    count_parameters,
)
from kanlib.experiments import Run
from kanlib.nn import FAMILIES, RationalActivation
from kanlib.training import TrainingConfig


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"bottlneck": 9}, "bottlneck=9"),
        ({"model": ["kan"]}, r"model=\['kan'\]"),
        ({"preset": "text"}, "preset='text'"),
        ({"bottleneck": 0}, "bottleneck=0"),
        ({"bottleneck": 9.0}, r"bottleneck=9\.0"),
        ({"bottleneck": True}, "bottleneck=True"),
        ({"bottleneck": np.float64(9)}, r"bottleneck=9\.0"),
        ({"bottleneck": Decimal("1.5")}, r"bottleneck=1\.5"),
        ({"bottleneck": Fraction(3, 2)}, r"bottleneck=1\.5"),
        ({"basis_options": {1: 2}}, "basis_options: 1=2"),
        ({"dataset": "CON"}, "dataset: 'CON'"),
        ({"dataset": "nul.txt"}, "dataset: 'nul.txt'"),
        ({"dataset": "mine."}, r"dataset: 'mine\.'"),
        ({"bottleneck": Decimal("Infinity")}, "bottleneck=inf"),
        ({"learning_rate": np.True_}, "learning_rate=True"),
        ({"match_parameters": 1, "model": "mlp"}, "match_parameters=1"),
        ({"seed": 2**31}, "seed=2147483648"),
        ({"hidden": 0}, "hidden=0"),
        ({"separate_scale": "false"}, "separate_scale='false'"),
        ({"output": "relu"}, "output='relu'"),
        ({"learning_rate": math.nan}, "learning_rate=nan"),
        ({"learning_rate": "1e-3"}, "learning_rate='1e-3'"),
        ({"decay": 1.5}, r"decay=1\.5"),
        ({"dataset": "../mnist"}, r"dataset='\.\./mnist'"),
        ({"dataset": ".."}, r"dataset='\.\.'"),
        ({"dataset": "my pictures"}, "dataset='my pictures'"),
        ({"dataset": "a" * 101}, "dataset='aaa"),
        ({"basis_options": {"width": 1}}, "width=1.*'bspline'"),
        ({"basis_options": {"grid_size": 5}}, "grid_size=5.*'bspline'"),
        ({"basis_options": 5}, "basis_options=5"),
        ({"dataset": "mnist\n"}, r"dataset='mnist\\n'"),
        ({"basis": "bsplines"}, "basis='bsplines'"),
        ({"basis": []}, r"basis=\[\]"),
        ({"grid_size": 5.0}, r"grid_size=5\.0"),
        ({"spline_order": 6}, "spline_order=6"),
        ({"grid_range": -1.0}, r"grid_range=-1\.0"),
        ({"basis": "chebyshev", "degree": 0}, "degree=0"),
        ({"basis": "chebyshev", "grid_size": 5}, "grid_size=5.*'chebyshev'"),
        ({"basis": "rational", "groups": 0}, "groups=0"),
        ({"basis": "rational", "base": "zero"}, "base='zero'.*Rational"),
        ({"basis": "rational", "separate_scale": False}, "separate_scale=False.*Rational"),
        ({"basis": "rational", "refine": "finer"}, "refine='finer'.*'rational'"),
        ({"model": "spline-mlp", "layer_norm": True}, "layer_norm=True.*'spline-mlp'"),
        ({"base": "relu"}, "base='relu'"),
        ({"refine": "finer", "epochs": 1}, "epochs=1.*refine='finer'"),
        ({"refine": "finer", "model": "mlp"}, "refine='finer'.*'mlp'"),
        ({"refine": "longer", "basis": "chebyshev"}, "refine='longer'.*'chebyshev'"),
        ({"update_grid": "range", "epochs": 1}, "epochs=1.*update_grid='range'"),
        ({"update_grid": "range", "model": "mlp"}, "update_grid='range'.*'mlp'"),
        ({"update_grid": "range", "model": "kan-conv"}, "update_grid='range'.*'kan-conv'"),
        ({"update_grid": "range", "model": "spline-mlp"}, "update_grid='range'.*'spline-mlp'"),
        ({"update_grid": "range", "basis": "fourier"}, "update_grid='range'.*'fourier'"),
        ({"update_grid": "range", "layer_norm": True}, "update_grid='range'.*layer_norm=True"),
        ({"update_grid": "knots", "basis": "gaussian-rbf"}, "update_grid='knots'.*'gaussian-rbf'"),
        ({"update_grid": "knots", "refine": "finer"}, "refine='finer'.*update_grid='knots'"),
        ({"model": "pca", "grid_size": 9}, "basis=BSpline.*grid_size=9.*'pca'"),
        ({"model": "mlp", "hidden": 9, "match_parameters": True}, "hidden=9.*match_parameters"),
        ({"validation": 1.0}, r"validation=1\.0"),
        ({"measured_on": "train"}, "measured_on='train'"),
        ({"measured_on": "validation"}, "validation=None"),
        ({"patience": 3}, "validation=None.*patience=3"),
        ({"seed": -1, "epochs": 0}, "seed=-1.*epochs=0"),
    ],
    ids=str,
)
def test_a_parameter_without_meaning_or_out_of_range_is_named(parameters, named):
    with pytest.raises(ValueError, match=f"(?s){named}"):
        Run(**parameters)


NINE = [
    np.int64(9),
    np.uint8(9),
    np.array(9),
    torch.tensor(9),
    Decimal(9),
    Decimal("9.0"),
    Fraction(9),
]


@pytest.mark.parametrize("nine", NINE, ids=repr)
def test_a_number_may_be_of_any_type_that_people_hold(nine: Any):
    run = Run(bottleneck=nine, grid_size=nine, learning_rate=nine, init_noise=nine)
    assert run == Run(bottleneck=9, grid_size=9, learning_rate=9.0, init_noise=9.0)
    assert type(run.bottleneck) is type(run.grid_size) is int
    assert type(run.learning_rate) is float
    yes: Any = np.True_
    assert Run(model="mlp", match_parameters=yes).match_parameters is True
    rate: Any = Decimal("0.001")
    assert Run(learning_rate=rate) == Run(learning_rate=1e-3)


def test_a_long_name_ends_in_a_hash_and_tells_runs_apart():
    settings: dict[str, Any] = {
        name: 1.2345678901234567e-300 for name in ("learning_rate", "weight_decay")
    }
    settings |= {name: 0.12345678901234567 for name in ("decay", "grid_range", "init_noise")}
    whole: dict[str, Any] = {
        "grid_size": 10**15,
        "epochs": 10**15,
        "batch_size": 10**15,
        "base": "identity",
    }
    both: list[dict[str, Any]] = [{"output": "tanh"}, {"output": "linear"}]
    runs = [Run(**settings | whole | output) for output in both]
    names = [run.path("r").name for run in runs]
    assert len(set(names)) == 2
    assert all(len(name) < 230 and name.startswith("bottleneck=0008_") for name in names)
    assert [len(run.path("r").parts) for run in runs] == [5, 5]


def test_a_run_is_a_value():
    run = Run(seed=3)
    assert run == Run(seed=3)
    assert run != Run(seed=4)
    assert hash(run) == hash(Run(seed=3))
    with pytest.raises(ValueError, match="frozen"):
        run.seed = 4  # pyright: ignore[reportAttributeAccessIssue]


# Values of each parameter; which of them go together, ``runs`` knows.
RATES = st.none() | st.floats(min_value=1e-300, max_value=1e300)
COUNTS = st.none() | st.integers(1, 10**6)
PARAMETERS: dict[str, st.SearchStrategy[Any]] = {
    # None that Windows reserves, as CON or LPT1, and none that ends in a point.
    "dataset": st.from_regex(r"[0-9D-Kd-k]([A-Za-z0-9._-]{0,11}[A-Za-z0-9_-])?", fullmatch=True),
    "model": st.sampled_from(list(MODELS)),
    "bottleneck": st.integers(1, 10**6),
    "seed": st.integers(0, 2**31 - 1),
    "preset": st.sampled_from(["paper", "authors"]),
    "hidden": COUNTS,
    "match_parameters": st.booleans(),
    "separate_scale": st.booleans(),
    "layer_norm": st.booleans(),
    "output": st.sampled_from([None, "tanh", "linear"]),
    "learning_rate": RATES,
    "weight_decay": RATES,
    "epochs": st.none() | st.integers(2, 10**6),
    "batch_size": COUNTS,
    "decay": st.none() | st.floats(min_value=0, max_value=1, exclude_min=True),
    "basis": st.sampled_from(list(FAMILIES)),
    "grid_size": st.none() | st.integers(2, 10**6),
    "spline_order": st.none() | st.integers(1, 5),
    "grid_range": st.none() | st.floats(min_value=1e-300, max_value=1e300),
    "degree": st.none() | st.integers(1, 10**6),
    "groups": st.none() | st.integers(1, 10**6),
    "basis_options": st.none(),  # no basis of the library has any
    "base": st.sampled_from(["silu", "identity", "zero"]),
    "init_noise": st.floats(min_value=0, max_value=1e300),
    "refine": st.sampled_from([None, "finer", "longer"]),
    "update_grid": st.sampled_from([None, "range", "knots"]),
    "activation": st.sampled_from([None, "relu", "gelu", "silu", "prelu"]),
    "depth": st.none() | st.integers(0, 8),
    "functions": COUNTS,
    "input_functions": st.booleans(),
    "tied": st.booleans(),
    "input_scale": st.booleans(),
    "centred": st.booleans(),
    "linear_path": st.booleans(),
    "budget": COUNTS,
    "validation": st.none() | st.floats(min_value=1e-300, max_value=1, exclude_max=True),
    "patience": st.none() | st.integers(1, 10**9),
    "measured_on": st.sampled_from(["test", "validation"]),
    "tasks": st.booleans(),
}
ANYWHERE = {"dataset", "bottleneck", "seed", "preset"}
ANYWHERE |= {"validation", "learning_rate", "weight_decay", "epochs", "batch_size", "decay"}
BASIS = {
    "bspline": {"grid_size", "spline_order", "grid_range"},
    "gaussian-rbf": {"grid_size", "grid_range"},
    "chebyshev": {"degree"},
    "fourier": {"degree"},
    "mexican-hat": {"grid_size", "grid_range"},
    "polynomial": {"degree"},
    "rational": {"groups"},
}
OF_BASES = {"base", "init_noise", "separate_scale", "layer_norm", "functions", "tied"}


@st.composite
def runs(draw: st.DrawFn) -> dict[str, Any]:
    """Parameters that go together: of any model, and of any basis where it has one."""
    model, basis = draw(PARAMETERS["model"]), draw(PARAMETERS["basis"])
    options = set(MODELS[model].options)
    names = ANYWHERE | (options - {"dataset", "basis"})
    fixed: dict[str, Any] = {"model": model}
    if draw(st.booleans()):
        fixed |= {"measured_on": "validation", "validation": draw(st.floats(0.01, 0.99))}
        names = (names - {"validation"}) | {"patience"}
    if "basis" in options and (basis != "rational" or not model.endswith("conv")):
        fixed["basis"] = basis
        names |= BASIS[basis]
        if basis == "rational":
            names -= OF_BASES
        if MODELS[model].on_edges and basis == "bspline":
            names |= {"refine"}
            if model != "kan-conv":
                names |= {"update_grid"}
    if MODELS[model].sized and draw(st.booleans()):
        fixed |= draw(st.sampled_from([{"match_parameters": True}, {"budget": 40_000}]))
        names = names - {"hidden"} | ({"separate_scale"} if "budget" not in fixed else set())
    free = draw(st.fixed_dictionaries({}, optional={n: PARAMETERS[n] for n in names}))
    if free.get("update_grid"):  # it goes with neither of these
        free = {name: value for name, value in free.items() if name not in ("layer_norm", "refine")}
    return fixed | free


def test_every_parameter_is_varied_below():
    assert PARAMETERS.keys() == Run.model_fields.keys()
    assert BASIS.keys() == FAMILIES.keys()


@given(runs(), st.sampled_from(sorted(PARAMETERS)), st.data())
def test_a_change_of_any_one_parameter_changes_the_file(parameters, name, data):
    changed = parameters | {name: data.draw(PARAMETERS[name])}
    try:
        run, other = Run(**parameters), Run(**changed)
    except ValueError as error:  # together they make no sense
        assert parameters.items() != changed.items(), error
        return
    assert (run == other) == (run.path("r") == other.path("r"))
    assert (run == other) == (run.model_dump() == other.model_dump())
    assert run.path("results").parts[:4] == ("results", "runs", run.dataset, run.model)


@given(runs())
def test_a_run_is_the_same_however_it_is_written(parameters):
    run = Run(**parameters)
    assert Run(**run.model_dump()) == run
    assert Run.model_validate_json(run.model_dump_json()) == run
    by_name = {"model", "preset", "dataset", "bottleneck", "seed"}
    assert Run(**{n: getattr(run, n) for n in by_name} | run.changes()) == run
    assert Run(**parameters | {"learning_rate": np.float64(0.1)}).path("r") == (
        Run(**parameters | {"learning_rate": 0.1}).path("r")
    )


def test_a_basis_has_its_own_defaults_for_what_is_not_given():
    assert Run() == Run(basis="bspline", grid_size=5, spline_order=3, grid_range=1.0)
    assert Run(basis="chebyshev") == Run(basis="chebyshev", degree=4, grid_size=None)
    rbf = Run(basis="gaussian-rbf")
    assert rbf == Run(basis="gaussian-rbf", grid_size=8, grid_range=2)
    assert (rbf.spline_order, rbf.degree) == (None, None)
    assert len({run.path("r") for run in (Run(), rbf, Run(basis="chebyshev"))}) == 3


@pytest.mark.parametrize(
    ("parameters", "basis"),
    [
        ({}, BSpline()),
        ({"grid_size": 9, "spline_order": 2, "grid_range": 1.5}, BSpline(9, 2, (-1.5, 1.5))),
        ({"basis": "gaussian-rbf"}, GaussianRBF()),
        ({"basis": "gaussian-rbf", "grid_range": 1.0}, GaussianRBF(8, (-1.0, 1.0))),
        ({"basis": "chebyshev", "degree": 7}, Chebyshev(7)),
        ({"basis": "fourier", "degree": 2}, Fourier(2)),
        ({"basis": "mexican-hat", "grid_size": 5}, MexicanHat(5)),
        ({"basis": "polynomial"}, Polynomial(3)),
    ],
)
def test_a_basis_reaches_the_layers(parameters, basis):
    built = Run(**parameters).build_model((1, 8, 8))
    assert {m.basis for m in built.modules() if isinstance(m, KANLinear)} == {basis}


@pytest.mark.parametrize("model", ["kan", "kan-pure"])
def test_layers_of_rational_functions_take_the_place_of_kan_layers(model):
    built = Run(model=model, basis="rational", groups=3).build_model((1, 8, 8))
    layers = [m for m in built.modules() if isinstance(m, RationalLinear)]
    assert [len(layer.functions.denominator) for layer in layers] == [3, 3]
    assert not [m for m in built.modules() if isinstance(m, KANLinear)]


def test_rational_functions_stand_on_nodes_too():
    built = Run(model="spline-mlp", basis="rational", hidden=20).build_model((1, 8, 8))
    nodes = [m for m in built.modules() if isinstance(m, RationalActivation)]
    assert [m.features for m in nodes] == [20, 20]


def test_a_layer_norm_reaches_the_kan_layers():
    built = Run(basis="gaussian-rbf", layer_norm=True).build_model((1, 8, 8))
    assert all(m.norm is not None for m in built.modules() if isinstance(m, KANLinear))
    plain = Run(basis="gaussian-rbf").build_model((1, 8, 8))
    assert count_parameters(built) == count_parameters(plain) + 2 * (64 + 8)


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
    with pytest.raises(ValueError, match="bottleneck=65"):
        Run(bottleneck=65).build_model((1, 8, 8))
