"""Wrong input, a line each: refused at once, with a message that says what would be right.

What the tests of the rooms refuse already is not repeated here.
"""

# pyright: reportArgumentType=false
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from kanlib import (
    MODELS,
    PCA,
    BSpline,
    GaussianRBF,
    KANLinear,
    build_model,
    experiments,
    from_efficient_kan,
)
from kanlib.data import Images, Split, load_images
from kanlib.experiments import Run, read_parameters
from kanlib.models import Autoencoder
from kanlib.models.autoencoder import match_parameters
from kanlib.models.conv import conv
from kanlib.models.dense import kan
from kanlib.nn import splines
from kanlib.report import claims, figures, published, statistics, tables
from kanlib.training import (
    StepLog,
    TrainingConfig,
    cpu,
    evaluate,
    evaluation,
    knn_score,
    preset,
    reconstruction_error,
    train,
)

POINTS = torch.rand(6, 2)
CLASSES = torch.tensor([0, 0, 0, 1, 1, 1])


def check(call: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def table(*cases: Any) -> Any:
    """Parametrises a test by cases (call, message) or (call, error, message)."""
    whole = [case if len(case) == 3 else (case[0], ValueError, case[1]) for case in cases]
    return pytest.mark.parametrize(("call", "error", "message"), whole)


layer = KANLinear(3, 2)


@table(
    (lambda: splines.uniform_knots(0, 3), "uniform_knots: grid_size=0 must be an integer >= 1"),
    (lambda: splines.uniform_knots(2.5, 3), "grid_size=2.5 must be an integer"),
    (lambda: splines.uniform_knots(5, -1), "uniform_knots: spline_order=-1 must be 1, 2, 3, 4 or"),
    (lambda: splines.uniform_knots(5, 3, (1, -1)), r"grid_range=\(1, -1\) must be .* lo < hi"),
    (lambda: splines.bspline_basis(POINTS, 0, 3), "bspline_basis: grid_size=0 must be"),
    (lambda: splines.bspline_basis(POINTS, True, 3), "bspline_basis: grid_size=True must be"),
    (lambda: splines.bspline_basis(POINTS, 5, 0), "bspline_basis: spline_order=0 must be 1, 2,"),
    (lambda: splines.bspline_basis(POINTS, 5, 6), "bspline_basis: spline_order=6 must be 1, 2,"),
    (lambda: splines.bspline_basis(POINTS, 5, 3, (0, math.inf)), r"grid_range=\(0, inf\) must be"),
    (lambda: splines.bspline_basis(POINTS, 5, 3, 2.0), "grid_range=2.0 must be two finite"),
    (lambda: splines.bspline_basis(torch.tensor(0.5), 5, 3), r"x of shape \(\) .* have an axis"),
    (lambda: splines.bspline_basis(POINTS.long(), 5, 3), r"torch\.int64 must be floating point"),
    (lambda: splines.bspline_slope(POINTS, -2, 3), "bspline_slope: grid_size=-2 must be"),
    (lambda: splines.bspline_slope(POINTS, 5, 9), "bspline_slope: spline_order=9 must be"),
    (lambda: splines.bspline_slope(POINTS.bool(), 5, 1), r"torch\.bool must be floating point"),
    (
        lambda: splines.fit_coefficients(POINTS, POINTS),
        r"basis \(6, 2\) and values \(6, 2\) .* must be \(M, P\) and \(P, ...\)",
    ),
    (
        lambda: splines.fit_coefficients(POINTS, torch.ones(2, dtype=torch.int64)),
        r"values \(2,\) of torch\.int64 must be .* floating point",
    ),
    (lambda: GaussianRBF(8.0), "GaussianRBF: grid_size=8.0 must be an integer >= 2"),
    (lambda: BSpline(grid_range=("-1", "1")), r"grid_range=\('-1', '1'\) must be two finite"),
)
def test_splines_and_bases(call, error, message):
    check(call, error, message)


@table(
    (lambda: KANLinear(3, 2, dtype=torch.complex64), "dtype=torch.complex64 must be a floating"),
    (lambda: KANLinear(3, 2, basis=BSpline), "basis=<class .* must be a basis, as BSpline()"),
    (lambda: KANLinear(3, 2, basis="bspline"), "basis='bspline' must be a basis"),
    (lambda: KANLinear(3, 2, basis=None), "basis=None must be a basis"),
    (lambda: KANLinear("3", 2), "in_features='3' must be an integer >= 1"),
    (lambda: KANLinear(3, 2, separate_scale="false"), "separate_scale='false' must be True or"),
    (lambda: KANLinear(3, 2, init_noise="0.1"), "init_noise='0.1' must be finite and >= 0"),
    (lambda: KANLinear(3, 2, init_noise=None), "init_noise=None must be"),
    (lambda: layer(torch.ones(4, 3, dtype=torch.int64)), TypeError, r"int64 must have .*float32"),
    (lambda: layer(np.ones((4, 3))), TypeError, "float64 must have .* convert it with torch.as_"),
    (lambda: layer(np.ones((4, 3), np.float32)), TypeError, r"convert it with torch\.as_tensor"),
    (lambda: layer.edge_functions(torch.ones(3)), r"x of shape \(3,\) .* must be \(P, 3\) or \(P,"),
    (lambda: layer.edge_functions(torch.ones(4, 2)), r"x of shape \(4, 2\) .* \(P, 3\)"),
    (lambda: layer.edge_functions(torch.ones(4, 3).int()), r"int32 must be .* torch\.float32"),
    (lambda: from_efficient_kan({}), r"state_dict lacks \['base_weight', 'grid', 'spline_weight"),
    (lambda: from_efficient_kan(efficient(inputs=0)), r"shape \(2, 0, 8\) .* O and I >= 1"),
    (
        lambda: from_efficient_kan({k: v.long() for k, v in efficient(3).items()}),
        r"spline_weight is torch\.int64, must be floating",
    ),
    (lambda: from_efficient_kan(efficient(3, order=6)), "spline_order=6 must be 1, 2, 3, 4 or 5"),
)
def test_layers(call, error, message):
    check(call, error, message)


def efficient(inputs: int, order: int = 3) -> dict[str, torch.Tensor]:
    """The tensors of an efficient-kan layer with 2 outputs and 5 intervals."""
    end = 1 + 0.4 * order
    return {
        "base_weight": torch.zeros(2, inputs),
        "spline_weight": torch.zeros(2, inputs, 5 + order),
        "grid": torch.linspace(-end, end, 6 + 2 * order).expand(inputs, -1),
    }


SHAPE = (1, 8, 8)


@table(
    (lambda: kan([1, 8, 8], 4), r"shape=\[1, 8, 8\] must be three positive integers in a tuple"),
    (lambda: kan(64, 4), "shape=64 must be three positive integers in a tuple"),
    (lambda: kan((1, 8.0, 8), 4), r"shape=\(1, 8.0, 8\) must be three positive integers"),
    (lambda: build_model("mlp", SHAPE, 4, hidden="9"), "hidden='9' must be an integer >= 1"),
    (lambda: build_model("mlp", SHAPE, 10**9), "bottleneck=1000000000 must be between 1 and 64"),
    (lambda: build_model("mlp", SHAPE, 4, match_parameters="no"), "match_parameters='no' must be"),
    (lambda: build_model("kan", SHAPE, 4, separate_scale=0), "separate_scale=0 must be True or"),
    (lambda: build_model(None, SHAPE, 4), "model=None must be one of kan, kan-pure, conv, mlp, "),
    (lambda: conv(SHAPE, 4, width=0), "width=0 must be positive and finite"),
    (lambda: conv(SHAPE, 4, width=-1.5), "width=-1.5 must be positive and finite"),
    (lambda: conv(SHAPE, 4, width=math.nan), "width=nan must be positive and finite"),
    (lambda: match_parameters(lambda size: nn.Linear(1, size), 0), "target=0 must be positive"),
    (lambda: match_parameters(lambda size: nn.Linear(1, size), math.nan), "target=nan must be pos"),
    (lambda: PCA(SHAPE, 4).fit(torch.rand(9, 1, 8, 9)), r"\(9, 1, 8, 9\) .* \(N, 1, 8, 8\)"),
    (lambda: PCA(SHAPE, 4).fit(torch.rand(9, 64)), r"shape \(9, 64\) .* \(N, 1, 8, 8\)"),
    (
        lambda: PCA(SHAPE, 4).fit(torch.ones(9, 1, 8, 8, dtype=torch.uint8)),
        r"torch\.uint8 must be .* floating point",
    ),
    *(
        (
            lambda name=name: Run(model=name, bottleneck=65).build_model(SHAPE),
            "bottleneck=65 must be between 1 and 64",
        )
        for name in MODELS
    ),
)
def test_models(call, error, message):
    check(call, error, message)


def split(count: int = 6, shape: tuple[int, ...] = SHAPE) -> Split:
    return Split(torch.rand(count, *shape), torch.arange(count) % 2)


IMAGES = Images("made up", split(), split(), ("zero", "one"), "")


@table(
    (
        lambda: Split(torch.ones(6, 1, 8, 8, dtype=torch.uint8), CLASSES),
        r"images of shape \(6, 1, 8, 8\) and torch.uint8 must be .* floating point",
    ),
    (lambda: Split(torch.rand(6, 8, 8), CLASSES), r"\(6, 8, 8\) .* must be \(N, C, H, W\)"),
    (lambda: Split(torch.rand(0, 1, 8, 8), CLASSES[:0]), r"shape \(0, 1, 8, 8\) .* none of them 0"),
    (
        lambda: Split(torch.rand(6, 1, 8, 8), CLASSES[:5]),
        r"labels of shape \(5,\) .* \(6,\), one an",
    ),
    (lambda: Split(torch.rand(6, 1, 8, 8), CLASSES[:, None]), r"labels of shape \(6, 1\)"),
    (lambda: Split(torch.rand(6, 1, 8, 8), CLASSES / 2), r"torch\.float32 must be .* torch.int64"),
    (lambda: load_images(None), "dataset=None must be the name of a data set"),
    (lambda: load_images(7), "dataset=7 must be the name of a data set"),
    (lambda: load_images("no-such-set"), FileNotFoundError, "dataset='no-such-set' was not found"),
    (
        lambda: load_images("svhn-test10k", "/no/where"),
        FileNotFoundError,
        "root='/no/where' .* not",
    ),
    (lambda: TrainingConfig(learning_rate="1e-3"), "learning_rate='1e-3' must be positive and fin"),
    (lambda: TrainingConfig(learning_rate=True), "learning_rate=True must be positive"),
    (lambda: TrainingConfig(weight_decay=None), "weight_decay=None must be finite and >= 0"),
    (lambda: TrainingConfig(decay=[0.8]), r"decay=\[0.8\] must be in \(0, 1\]"),
    (lambda: TrainingConfig(epochs="10"), "epochs='10' must be an integer >= 1"),
    (lambda: preset("authors", "KAN", "mnist"), "model='KAN' must be one of kan, kan-pure, "),
    (lambda: cpu.fast_products("false").__enter__(), TypeError, "enabled='false' must be True or"),
    (lambda: reconstruction_error(MLP, IMAGES.test.images, 0), "batch_size=0 must be an integer"),
    (lambda: reconstruction_error(MLP, IMAGES.test.images, 2.0), "batch_size=2.0 must be an int"),
    (lambda: reconstruction_error(MLP, IMAGES.test.images[:0]), r"\(0, 1, 8, 8\) must be at least"),
    (
        lambda: reconstruction_error(Autoencoder(nn.Flatten(), nn.Identity()), torch.rand(1, 1, 1)),
        r"model returns shape \(1, 1\) for images of shape \(1, 1, 1\); the two must be equal",
    ),
    (lambda: evaluation.apply(nn.Identity(), POINTS, -1), "batch_size=-1 must be an integer >= 1"),
)
@pytest.mark.usefixtures("own_cache")
def test_data_and_training(call, error, message):
    check(call, error, message)


MLP = build_model("mlp", SHAPE, 4)


def spoilt(value: float, name: str) -> Images:
    pixels = torch.rand(6, 1, 8, 8)
    pixels[-1, 0, 3, 4] = value
    return replace(IMAGES, **{name: Split(pixels, CLASSES)})


UNFIT = {
    "nan": (spoilt(math.nan, "train"), "images.train has NaN or infinite values"),
    "infinite": (spoilt(-math.inf, "test"), "images.test has NaN or infinite values"),
    "another size": (
        replace(IMAGES, train=split(shape=(1, 9, 9)), test=split(shape=(1, 9, 9))),
        r"images.train of shape \(6, 1, 9, 9\) .* must fit the model: ",
    ),
    "another size of the test split": (
        replace(IMAGES, test=split(shape=(3, 8, 8))),
        r"images.test of shape \(6, 3, 8, 8\) .* must fit the model: ",
    ),
    "float64": (
        replace(IMAGES, train=Split(IMAGES.train.images.double(), CLASSES)),
        r"images.train of .* torch\.float64 must fit the model: ",
    ),
}


@pytest.mark.parametrize(
    ("model", "kind"),
    list(product(MODELS, UNFIT)),
)
def test_images_that_do_not_fit_a_model_leave_it_as_it_is(model, kind):
    images, message = UNFIT[kind]
    fresh = build_model(model, SHAPE, 4)
    before = [parameter.detach().clone() for parameter in fresh.parameters()]
    with pytest.raises(ValueError, match=message):
        train(fresh, images, TrainingConfig(epochs=1))
    with pytest.raises(ValueError, match=message):
        evaluate(fresh, images)
    assert all(map(torch.equal, fresh.parameters(), before))


@table(
    (lambda: evaluate(MLP, replace(IMAGES, classes=("zero",))), "labels 0 to 1, must have 0 to 0"),
    (lambda: knn_score(POINTS[:, 0], CLASSES, POINTS, CLASSES), r"fit_on of shape \(6,\) must be"),
    (
        lambda: knn_score(POINTS, CLASSES[:5], POINTS, CLASSES),
        r"fit_labels of shape \(5,\) .*\(6,\)",
    ),
    (
        lambda: knn_score(POINTS, CLASSES, POINTS, CLASSES[:1]),
        r"test_labels of shape \(1,\) .*\(6,",
    ),
    (
        lambda: knn_score(POINTS, CLASSES / 2, POINTS, CLASSES),
        r"fit_labels .* torch\.float32 must be .* integers",
    ),
    (
        lambda: knn_score(POINTS, CLASSES, POINTS[:, :1], CLASSES),
        r"test_on .* columns as fit_on, 2",
    ),
    (
        lambda: knn_score(POINTS, CLASSES, POINTS[:0], CLASSES[:0]),
        "test_on has 0 points, must have",
    ),
    (lambda: StepLog(every=0), "StepLog: every=0 must be an integer >= 1"),
    (lambda: experiments.load_records([], "results"), "runs: 0, 0 different; must be >= 1"),
    (
        lambda: experiments.load_records([Run(), Run()], "results"),
        "runs: 2, 1 different; .* each once",
    ),
    (lambda: experiments.load_record("no.json"), FileNotFoundError, "no.json"),
    (lambda: experiments.load_arrays("no.json"), FileNotFoundError, "no.npz"),
    (
        lambda: read_parameters({"fast_cpu": "false"}, [], {"fast_cpu": bool}),
        TypeError,
        "fast_cpu='false' must be of type bool",
    ),
    (
        lambda: read_parameters({"root": 5}, [], {"root": str | None}),
        TypeError,
        r"root=5 must be of type str \| None",
    ),
)
def test_evaluation_records_and_experiments(call, error, message):
    check(call, error, message)


SUMMARY = pd.DataFrame({"label": ["KAN", "KAN"], "bottleneck": [4, 4], "mse": [0.1, 0.2]})
SERIES = pd.Series([1.0, 2.0], index=[0, 0])
RECORDS = pd.DataFrame(
    {"label": ["KAN", "KAN", "CNN"], "dataset": "mnist", "bottleneck": 9, "seed": 0}
    | dict.fromkeys(experiments.METRICS, 1.0)
)
PIXELS = np.zeros((2, 1, 4, 4))


@table(
    (lambda: statistics.mean_interval(5.0), "values=5.0 must be finite numbers, at least one"),
    (lambda: statistics.mean_interval(["a"]), r"values=\['a'\] must be finite numbers"),
    (lambda: statistics.mean_interval([1.0], 95), "confidence=95 must be between 0 and 1"),
    (lambda: statistics.bootstrap_interval([]), r"values=\[\] must be finite numbers"),
    (lambda: statistics.bootstrap_interval([1.0, 2.0], 0.0), "confidence=0.0 must be between"),
    (lambda: claims.compare(RECORDS), r"first has seeds \[0, 0\]; must have each once"),
    (
        lambda: statistics.paired_differences(SERIES, SERIES[:1]),
        r"first has seeds \[0, 0\]; .* once",
    ),
    (
        lambda: statistics.summarise(SUMMARY, ["test_mse"]),
        r"lacks the columns \['test_mse'\]; .*mse",
    ),
    (lambda: statistics.summarise(SUMMARY[:0], ["mse"]), "records has 0 rows .* at least one"),
    (
        lambda: statistics.summarise(SUMMARY.assign(dataset=["a", "b"]), ["mse"]),
        r"records are of the data sets \['a', 'b'\]; must be of one",
    ),
    (lambda: tables.by_bottleneck(SUMMARY, "mse"), "several rows for a label and bottleneck"),
    (lambda: tables.by_bottleneck(SUMMARY, "mes"), r"metric='mes' must be a column of .*'mse'\]"),
    (lambda: figures.against_bottleneck(SUMMARY, "mse", "error"), "mse and mse_sd must be columns"),
    (
        lambda: published.load_elbow("no-folder", "mnist"),
        FileNotFoundError,
        "folder='no-folder' is",
    ),
    (
        lambda: published.load_confusion("README.md", "mnist"),
        FileNotFoundError,
        "'README.md' is not",
    ),
    (
        lambda: figures.reconstructions(PIXELS, {"KAN": PIXELS[:1]}),
        r"KAN: images of shape \(1, 1, 4, 4\) must be .* originals, \(2, 1, 4, 4\)",
    ),
    (
        lambda: figures.reconstructions(PIXELS.repeat(2, 1), {}),
        r"originals: images of shape \(2, 2, 4, 4\) must be \(N, C, H, W\), C = 1 or 3",
    ),
    (
        lambda: figures.edge_functions(PIXELS[0, 0, 0], PIXELS[0, 0], ["pixel 0"]),
        r"values of shape \(4, 4\) must be \(1, 4\), a row for each of at least one name",
    ),
    (
        lambda: figures.edge_functions(PIXELS[0, 0, 0], PIXELS[0, 0, :0], []),
        r"values of shape \(0, 4\) .* at least one name",
    ),
    (
        lambda: figures.confusion_matrices({"sound": np.eye(3)}, ["a", "b"]),
        r"sound: matrix of shape \(3, 3\) must have a row and a column for each of the 2 classes",
    ),
)
def test_statistics_tables_and_figures(call, error, message):
    check(call, error, message)


NOTEBOOKS = {
    "02_train_autoencoder": [
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
        ("output", "relu", ValueError),
        ("learning_rate", "1e-3", ValueError),
        ("weight_decay", -1.0, ValueError),
        ("epochs", 0, ValueError),
        ("batch_size", 0, ValueError),
        ("decay", 1.5, ValueError),
        ("grid_size", 0, ValueError),
        ("spline_order", 6, ValueError),
        ("grid_range", 0.0, ValueError),
        ("base", "relu", ValueError),
        ("init_noise", -0.1, ValueError),
        ("refine", "shorter", ValueError),
        ("data_root", 5, TypeError),
        ("results_dir", 5, TypeError),
        ("device", 5, TypeError),
        ("fast_cpu", "false", TypeError),
        ("compiled", "yes", TypeError),
    ],
    "03_tables": [
        ("experiment", 5, TypeError),
        ("experiment", "mnits", FileNotFoundError),
        ("results_dir", ["results"], TypeError),
    ],
    "04_figures": [
        ("experiment", None, TypeError),
        ("results_dir", 5, TypeError),
        ("figures_dir", False, TypeError),
    ],
}


def code_cells(name: str) -> list[Any]:
    notebook = nbformat.read(Path("notebooks", f"{name}.ipynb"), as_version=4)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def run_notebook(name: str, parameters: dict[str, object]) -> None:
    """Its cells, in this process; ``parameters`` go over its own, as papermill would put them."""
    namespace: dict[str, Any] = {}
    for cell in code_cells(name):
        exec(cell.source.removeprefix("%matplotlib inline"), namespace)
        if "parameters" in cell.metadata.get("tags", []):
            namespace |= parameters


@pytest.mark.parametrize(
    ("name", "parameter", "value", "error"),
    [(name, *case) for name, cases in NOTEBOOKS.items() for case in cases],
)
@pytest.mark.usefixtures("own_cache")
def test_a_wrong_parameter_stops_a_notebook_at_once(
    name, parameter, value, error, monkeypatch, tmp_path
):
    monkeypatch.setattr("kanlib.training.train", None)  # calling it would be another error
    wrong = {"results_dir": str(tmp_path / "results")} | {parameter: value}
    with pytest.raises(error) as caught:
        run_notebook(name, wrong)
    stated = "mnits.yaml does not exist; there are: " if value == "mnits" else repr(value)
    assert stated in str(caught.value)
    assert parameter in str(caught.value)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_every_parameter_of_a_notebook_is_tried(name):
    values: dict[str, Any] = {"__builtins__": {}}
    (cell,) = (c for c in code_cells(name) if "parameters" in c.metadata.get("tags", []))
    exec(cell.source, values)
    assert {parameter for parameter, *_ in NOTEBOOKS[name]} == values.keys() - {"__builtins__"}


def test_a_folder_that_cannot_be_made_stops_the_notebook_before_it_trains(tmp_path, monkeypatch):
    monkeypatch.setattr("kanlib.training.train", None)
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file"):
        run_notebook("02_train_autoencoder", {"results_dir": str(tmp_path / "file")})
