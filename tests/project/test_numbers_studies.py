"""Numbers in the prose of three notebooks are the measured ones: cost, sensitivity, stability."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import assert_quoted
from project.test_readme import (
    SAME,
    change,
    dead_units,
    deep,
    found,
    jump,
    mean,
    numbers,
    rank_correlation,
    reached,
    records,
    spread,
    spread_of_pure,
    stability,
    worth,
)

from kanlib.experiments import load_arrays, load_experiment

WORTH, SENSITIVITY, STABILITY = (
    Path(f"notebooks/{name}.ipynb") for name in ("07_worth", "08_sensitivity", "11_stability")
)


def on_mnist(model: str, metric: str = "test_mse", **settings: Any) -> float:
    return mean("worth-mnist", metric, model=model, **settings)


def on_cifar10(model: str, metric: str = "test_mse", **settings: Any) -> float:
    return mean("worth-cifar10", metric, model=model, **settings)


def dead_after_code() -> list[float]:
    """Of every AE-KAN, in the order of ``dead_units``."""
    return [load_arrays(r)["dead_units"][1] for r in found("stability-mnist", model="kan")]


def dead_in_the_mlp() -> float:
    """Before the code, where they were counted."""
    runs = found("stability-mnist", model="mlp", **SAME)
    counts = [load_arrays(r).get("dead_units") for r in runs]
    return float(np.mean([count[0] for count in counts if count is not None]))


def width_of_the_mlp() -> float:
    run = found("stability-mnist", model="mlp", **SAME)[0].run
    first: Any = run.build_model((1, 28, 28)).encoder
    return next(layer.out_features for layer in first if hasattr(layer, "out_features"))


def column(table: str, name: str) -> list[Any]:
    return pd.read_csv(f"results/{table}.csv")[name].tolist()


def effects_of_splines() -> list[float]:
    """How far each change of the splines alone moves the test error of pure KAN."""
    changes = zip(
        *(column("sensitivity-mnist", name) for name in ("setting", "difference")), strict=True
    )
    unchanged = column("sensitivity-mnist", "test_mse")[0]
    other = ("learning_rate", "batch_size", "hidden")
    return [abs(change) / unchanged for name, change in changes if not str(name).startswith(other)]


LONGER: dict[str, Any] = {"grid_range": 2.2, "grid_size": 11}
QUOTED: list[tuple[Path, str, Callable[[], float]]] = [
    (WORTH, "18%", lambda: worth("kan-pure") - 1),
    (WORTH, "57%", lambda: worth("kan") - 1),
    (WORTH, "8%", lambda: 1 - worth("spline-mlp", **SAME)),
    (WORTH, "8%", lambda: on_mnist("kan-pure", hidden=32) / on_mnist("mlp", hidden=256) - 1),
    (WORTH, "20%", lambda: 1 - on_mnist("mlp", "parameters", hidden=256)
     / on_mnist("kan-pure", "parameters", hidden=32)),
    (WORTH, "25%", lambda: 1 - on_mnist("kan-pure", hidden=32)
     / on_mnist("spline-mlp", hidden=32)),
    (WORTH, "19", lambda: len(column("worth-mnist", "test_mse"))),
    (WORTH, "19", lambda: on_cifar10("kan-pure", "parameters")
     / on_cifar10("pca", "parameters")),
    (WORTH, "1%", lambda: on_cifar10("kan-pure") / on_cifar10("pca") - 1),
    (WORTH, "1%", lambda: 1 - on_cifar10("mlp", **SAME) / on_cifar10("kan-pure")),
    (SENSITIVITY, "79%", lambda: change(batch_size=1024)),
    (SENSITIVITY, "5%", lambda: max(effects_of_splines())),
    (SENSITIVITY, "24", lambda: len(column("sensitivity-mnist", "test_mse")) - 1),
    (SENSITIVITY, "6%", lambda: -change(learning_rate=0.003)),
    (SENSITIVITY, "25%", lambda: -change(hidden=32)),
    (SENSITIVITY, "3.6", lambda: deep(metric="parameters")
     / mean("sensitivity-mnist", "parameters")),
    (SENSITIVITY, "4%", lambda: -change(grid_size=20)),
    (SENSITIVITY, "4%", lambda: -change(separate_scale=False)),
    (SENSITIVITY, "5%", lambda: change(spline_order=1)),
    (SENSITIVITY, "44%", lambda: 1 - reached(1, 0)),
    (SENSITIVITY, "48%", lambda: reached(1, 2, hidden=32)),
    (SENSITIVITY, "5%", lambda: 1 - deep(**LONGER) / deep()),
    (SENSITIVITY, "60%", lambda: deep(metric="parameters", **LONGER)
     / deep(metric="parameters") - 1),
    (SENSITIVITY, "2%", lambda: 1 - deep(refine="longer") / deep()),
    (STABILITY, "11%", spread),
    (STABILITY, "1%", spread_of_pure),
    (STABILITY, "52%", lambda: stability("kan").max() / stability("kan").min() - 1),
    (STABILITY, "0.4%", lambda: max(column("stability-mnist", "spikes"))),
    (STABILITY, "0.96", lambda: rank_correlation(*dead_units())),
    (STABILITY, "0.34", lambda: rank_correlation(dead_after_code(), dead_units()[1])),
    (STABILITY, "5.7", lambda: float(np.mean(dead_units()[0]))),
    (STABILITY, "63", dead_in_the_mlp),
    (STABILITY, "88", width_of_the_mlp),
    (STABILITY, "25", lambda: width_of_the_mlp() - dead_in_the_mlp()),
    (STABILITY, "28%", jump),
]  # fmt: skip
# Numbers that nobody measured here: settings, sizes, definitions.
PLAIN = {
    WORTH: "9 32 64 1,024 3 95%",
    SENSITIVITY: "9 32 64 1,024 95% 0.003 20 5 1 3",
    STABILITY: "9 0 1% 4",
}


@pytest.mark.parametrize(
    ("notebook", "number", "source"), QUOTED, ids=[f"{p.stem}: {n}" for p, n, _ in QUOTED]
)
def test_a_number_in_the_prose_is_the_measured_one(notebook, number, source):
    assert_quoted(number, source(), numbers(notebook))


@pytest.mark.parametrize("notebook", [WORTH, SENSITIVITY, STABILITY], ids=lambda path: path.stem)
def test_every_number_in_the_prose_has_a_source(notebook):
    known = {number for where, number, _ in QUOTED if where == notebook}
    assert set(numbers(notebook)) <= known | set(PLAIN[notebook].split())


def test_a_tenth_of_the_parameters_and_half_of_the_time():
    """What 07_worth says of splines on nodes, in words."""
    edges, nodes = (on_mnist(m, "parameters", hidden=32) for m in ("kan-pure", "spline-mlp"))
    assert round(edges / nodes) == 10
    labels = column("worth-mnist_costs", "label")
    for name in ("step_ms", "image_us"):
        times = dict(zip(labels, column("worth-mnist_costs", name), strict=True))
        assert times["Spline MLP, same size"] / times["MLP, same size"] == pytest.approx(2, abs=0.1)


def test_pure_kan_alone_jumps_and_on_cifar10_alone():
    """What 11_stability says of the runs whose test error rises by more than 1%."""
    jumping = []
    for name in ("small-mnist", "small-cifar10"):
        for record in records(name):
            losses = np.array(record.history.test_loss)
            if (losses[1:] > 1.01 * losses[:-1]).any():
                jumping.append((record.run.dataset, record.run.model))
    assert jumping == [("cifar10", "kan-pure")] * 7


def test_one_run_of_five_at_a_code_of_four_gives_one_image_for_all():
    runs = found("small-mnist", model="kan", bottleneck=4)
    assert min(record.run.bottleneck for record in records("small-mnist")) == 4
    varied = [load_arrays(record)["reconstructions"].std(axis=0).max() > 0.1 for record in runs]
    assert sorted(varied) == [False, True, True, True, True]


def test_the_studies_are_those_that_the_prose_tells_of():
    runs = load_experiment("experiments/stability-mnist.yaml").runs()
    seeds = {m: sum(run.model == m for run in runs) for m in ("kan", "kan-pure", "mlp")}
    assert seeds == {"kan": 20, "kan-pure": 5, "mlp": 5}
    dead = dead_units()[0]
    assert (min(dead), max(dead)) == (4, 8)
