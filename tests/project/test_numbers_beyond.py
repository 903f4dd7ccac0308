"""Numbers in the prose of two notebooks are the measured ones: interpretability, time series."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import assert_quoted
from project.test_readme import (
    MLP_150K,
    SAME,
    at_16,
    found,
    judged,
    larger_cnns,
    mean,
    mnist,
    numbers,
    of,
    records,
    row,
    with_lines,
)

from kanlib.experiments import Record, load_experiment, to_frame
from kanlib.report import claims, stability

INTERPRETABILITY = Path("notebooks/09_interpretability.ipynb")
BETTER = Path("notebooks/12_better_kans.ipynb")
SERIES = Path("notebooks/10_beyond_images.ipynb")
MEASURES = "results/interpretability-mnist_measures.csv"
PURE, MLP = "pure KAN", "MLP, same size"


def measure(name: str, model: str) -> float:
    return float(row(MEASURES, label=model)[name])


def compared(name: str, column: str) -> float:
    """Pure KAN against the MLP of the same size."""
    path = "results/interpretability-mnist_comparisons.csv"
    return float(row(path, kan=PURE, rival=MLP, measure=name)[column])


def of_the_mlp(part: str) -> float:
    """How much its error grows with lines in the place of its activations."""
    cells = row("results/interpretability-mnist_ablation.csv", label=MLP, part=part)
    return cells["line"] / cells["whole"] - 1


def pruned(model: str) -> float:
    path = "results/interpretability-mnist_pruning.csv"
    return float(row(path, label=model, rule="spread", kept=0.05)["mse"])


EXPERIMENTS = ("series-italy", "series-gunpoint")


@cache
def on_series() -> pd.DataFrame:
    """Comparisons of test errors, those that could be made."""
    plans = {name: load_experiment(f"experiments/{name}.yaml") for name in EXPERIMENTS}
    compared = [claims.compare(to_frame(records(n)), plan.common) for n, plan in plans.items()]
    return pd.concat(compared).query("metric == 'test_mse' and pairs > 0")


def runs_of(*models: str) -> list[Record]:
    return [r for name in EXPERIMENTS for r in records(name) if r.run.model in models]


def count(kan: str, *words: str) -> int:
    table: Any = on_series()
    return int(((table["kan"] == kan) & table["verdict"].isin(words)).sum())


def linear_over_pca(name: str) -> float:
    """Test errors at the smallest code."""
    linear, pca = (mean(name, model=model, bottleneck=2) for model in ("linear", "pca"))
    return linear / pca


def steps(name: str) -> float:
    """Of a training; GunPoint has 50 windows to train on."""
    run = records(name)[0].run
    assert run.batch_size and run.epochs
    return run.epochs * -(-50 // run.batch_size)


def on_texts(model: str, size: int, metric: str = "test_mse") -> float:
    settings: dict[str, Any] = SAME if model == "mlp" else {}
    if model == "kan-shared":
        settings = {"basis": "gaussian-rbf", "depth": 2, "budget": AS_LARGE[size]}
    if model == "lsa":  # it is fitted
        settings = {"epochs": None, "decay": None}
    return mean("text-20news", metric, model=model, bottleneck=size, **settings)


TEXTS = ("lsa", "kan", "kan-pure", "linear", "mlp", "kan-shared")
AS_LARGE = {16: 640544, 32: 1282112, 64: 2568320}  # as AE-KAN


def pure_against_lsa() -> float:
    """The largest difference in test error, at three code sizes."""
    ratios = [on_texts("kan-pure", size) / on_texts("lsa", size) for size in (16, 32, 64)]
    return max(abs(ratio - 1) for ratio in ratios)


def tried(model: str) -> float:
    """The least validation error of a model in the search."""
    runs = [r for r in records("search-mnist-40k") if r.run.model == model]
    return min(of(r, "validation_mse") for r in runs)


def larger_cnn_at(rate: float) -> float:
    """Validation error of the CNN with 200,000 parameters."""
    runs = [r for r in records("search-mnist-conv-time") if r.run.model == "cnn-dense"]
    [error] = [of(r, "validation_mse") for r in runs if r.run.learning_rate == rate]
    return error


def one_for_all(**tied: Any) -> float:
    """The test error of the best KAN with 100,000 parameters."""
    best: dict[str, Any] = {"basis": "gaussian-rbf", "depth": 2, "learning_rate": 0.008}
    return mean("league-mnist-100k", model="kan-shared", **best, **tied)


def step(model: str, size: int, **settings: Any) -> float:
    """Milliseconds of a training step, from the costs of the league."""
    return float(
        row("results/league_costs.csv", model=model, bottleneck=size, **settings)["step_ms"]
    )


def all_alike(*models: str) -> int:
    return sum(stability.answer_alike(runs_of(*models)))


# Notebook, number as it stands there, its source.
QUOTED: list[tuple[Path, str, Callable[[], float]]] = [
    (INTERPRETABILITY, "0.673", lambda: compared("gini", "kan_value")),
    (INTERPRETABILITY, "0.643", lambda: compared("gini", "rival_value")),
    (INTERPRETABILITY, "173", lambda: mnist("kan", "parameters") / mnist("conv", "parameters")),
    (INTERPRETABILITY, "2%", lambda: with_lines("encoder")),
    (INTERPRETABILITY, "23%", lambda: with_lines("decoder")),
    (INTERPRETABILITY, "14%", lambda: of_the_mlp("encoder")),
    (INTERPRETABILITY, "52%", lambda: of_the_mlp("decoder")),
    (INTERPRETABILITY, "99%", lambda: measure("explained", PURE)),
    (INTERPRETABILITY, "64%", lambda: measure("noise_explained", PURE)),
    (INTERPRETABILITY, "0.204", lambda: pruned(PURE)),
    (INTERPRETABILITY, "0.221", lambda: pruned(MLP)),
    (INTERPRETABILITY, "28,110", lambda: compared("weights", "kan_value")),
    (INTERPRETABILITY, "29,571", lambda: compared("weights", "rival_value")),
    (INTERPRETABILITY, "81%", lambda: measure("probe", PURE)),
    (INTERPRETABILITY, "84%", lambda: measure("probe", MLP)),
    (INTERPRETABILITY, "0.83", lambda: measure("cka", PURE)),
    (INTERPRETABILITY, "0.91", lambda: measure("cka", MLP)),
    (SERIES, "26%", lambda: 1 - mean("series-gunpoint", model="kan-pure", bottleneck=2)
     / mean("series-gunpoint", model="pca", bottleneck=2)),
    (SERIES, "12", lambda: count("AE-KAN", "worse")),
    (SERIES, "24", lambda: count("AE-KAN", "better", "level", "worse", "undecided")),
    (SERIES, "9", lambda: count(PURE, "better")),
    (SERIES, "2.8", lambda: linear_over_pca("series-italy")),
    (SERIES, "3.3", lambda: linear_over_pca("series-gunpoint")),
    (SERIES, "2,000", lambda: steps("series-gunpoint")),
    (SERIES, "5", lambda: count(PURE, "worse")),
    (SERIES, "8", lambda: all_alike("kan")),
    (SERIES, "30", lambda: len(runs_of("kan"))),
    (SERIES, "7%", lambda: 1 - on_texts("mlp", 64) / on_texts("lsa", 64)),
    (SERIES, "0.14%", pure_against_lsa),
    (SERIES, "0.917", lambda: on_texts("kan-shared", 16, "test_relative_error")),
    (SERIES, "0.921", lambda: on_texts("mlp", 16, "test_relative_error")),
    (SERIES, "20", lambda: on_texts("kan-pure", 16, "parameters")
     / on_texts("lsa", 16, "parameters")),
    (BETTER, "2%", lambda: -judged("MNIST at 9, about", "CNN")),
    (BETTER, "2%", lambda: -judged("Fashion-MNIST at 9", "CNN")),
    (BETTER, "36%", lambda: judged("ItalyPowerDemand", "MLP")),
    (BETTER, "3", lambda: -100 * judged("CIFAR-10 at 64, about", "MLP")),
    (BETTER, "2.7%", lambda: -judged("CIFAR-10 at 64, about", "PCA")),
    (BETTER, "3.6", lambda: judged("MNIST at 16, about 100,000", "MLP", "relative_width")),
    (BETTER, "2.6", lambda: judged("MNIST at 9, about", "MLP", "relative_width")),
    (BETTER, "1%", lambda: judged("Fashion-MNIST at 34", "MLP")),
    (BETTER, "11%", lambda: judged("MNIST at 34", "MLP")),
    (BETTER, "38%", lambda: judged("MNIST at 16, equal time", "MLP")),
    (BETTER, "12%", lambda: judged("MNIST at 16, larger models, equal time", "MLP")),
    (BETTER, "2.6%", lambda: -judged("CIFAR-10 at 64, equal time", "MLP")),
    (BETTER, "10%", lambda: 1 - larger_cnns().mean()
     / mean("league-mnist-40k", model="kan-shared-conv", learning_rate=0.008)),
    (BETTER, "1.2", lambda: step("kan-shared", 64, budget=1600000, basis="bspline")
     / step("mlp", 64, budget=1600000)),
    (BETTER, "2.5", lambda: step("kan-shared", 16, budget=100000, depth=2, basis="gaussian-rbf",
     tied=False) / step("mlp", 16, budget=100000, depth=2)),
    (BETTER, "4%", lambda: 1 - one_for_all() / one_for_all(tied=True)),
    (BETTER, "0.175", lambda: tried("kan-pure")),
    (BETTER, "0.228", lambda: tried("kan")),
    (BETTER, "0.086", lambda: tried("kan-shared")),
    (BETTER, "0.087", lambda: tried("mlp")),
    (BETTER, "0.060", lambda: tried("cnn-dense")),
    (BETTER, "6%", lambda: 1 - mean("league-mnist-time", **MLP_150K) / at_16("kan-shared")),
    (BETTER, "0.055", lambda: larger_cnn_at(0.002)),
    (BETTER, "0.060", lambda: tried("kan-shared-conv")),
    (BETTER, "4%", lambda: -judged("MNIST at 16, about 100,000", "MLP")),
    (BETTER, "1.4", lambda: at_16("kan-pure") / at_16("kan-shared")),
    (BETTER, "49%", lambda: at_16("kan-pure", "test_recall")),
    (BETTER, "52%", lambda: at_16("pca", "test_recall")),
    (BETTER, "59%", lambda: at_16("kan-shared", "test_recall")),
]  # fmt: skip
# Sizes of data and codes, definitions, confidence.
PLAIN = {
    INTERPRETABILITY: "9 95% 5% 784 0 1",
    BETTER: "9 16 24 32 34 64 67 7,999 40,000 100,000 150,000 200,000 400,000 1,000,000 1,600,000 "
    "2,000,000 95% 0.032 0 1 0.2 9,380",
    SERIES: "2 3 4 24 67 150 50 95% 1 11,314 7,532 2,000 16 64",
}


@pytest.mark.parametrize(
    ("notebook", "number", "source"), QUOTED, ids=[f"{p.stem}: {n}" for p, n, _ in QUOTED]
)
def test_a_number_in_the_prose_is_the_measured_one(notebook, number, source):
    assert_quoted(number, source(), numbers(notebook))


@pytest.mark.parametrize("notebook", PLAIN, ids=lambda path: path.stem)
def test_every_number_in_the_prose_has_a_source(notebook):
    known = {number for where, number, _ in QUOTED if where == notebook}
    assert set(numbers(notebook)) <= known | set(PLAIN[notebook].split())


def test_what_the_prose_says_of_verdicts_in_words():
    table: Any = pd.read_csv("results/interpretability-mnist_verdicts.csv")
    table = table.set_index(["kan", "rival"])
    said = table["interpretability"]
    assert said[PURE, MLP] == "1 better, 4 undecided"
    assert said[PURE, "Spline MLP, same size"] == "1 better, 2 worse, 2 undecided"
    better = table[table["better"] > 0]
    assert [rival for kan, rival in better.index if kan == "AE-KAN"] == ["CNN"]
    assert (table["edges"].xs("CNN", level="rival") == "not compared").all()
    decided = int(table[["better", "worse", "undecided"]].to_numpy().sum())
    assert 1 <= 0.05 * decided <= 2  # "one or two may mislead"


def test_what_the_prose_says_of_the_league_in_words():
    table: Any = pd.read_csv("results/league_verdicts.csv").set_index(["cell", "against"])
    said = table["verdict"].unstack()
    said = said[~said.index.str.contains("equal time")]
    width = table["relative_width"].unstack()["MLP"]
    few = "ItalyPowerDemand at 4, about 4,000 parameters"
    equal = said["MLP"].dropna()
    assert equal[few] == "worse"
    images = width[equal.index].drop(few)
    for verdict, wide in (("better", images >= 3.5), ("worse", images <= 2)):
        assert (equal[images.index] == verdict).equals(wide)
    svhn = "SVHN's digits at 32, about 400,000 parameters"
    assert said["PCA"][svhn] == said["MLP"][svhn] == "worse"
    assert said["CNN"].dropna().to_list() == ["better", "better"]
    chosen: Any = pd.read_csv("results/search-mnist-40k.csv")
    assert len(chosen) == 24 and (chosen["learning_rate"] == 0.032).sum() == 3
    assert one_for_all(tied=True) == pytest.approx(at_16("mlp"), rel=0.02)  # level
    assert at_16("mlp", "test_recall") == pytest.approx(
        at_16("kan-shared", "test_recall"), abs=0.005
    )
    shared, rival = (at_16(model, "parameters") for model in ("kan-shared", "kan-pure"))
    assert rival / shared == pytest.approx(1.5, abs=0.01)
    for kind in ("gaussian", "salt_pepper"):
        errors = [at_16(model, f"test_mse_{kind}") for model in ("kan-shared", "mlp")]
        assert errors[0] == pytest.approx(errors[1], rel=0.06)


def test_what_the_prose_says_of_equal_time_in_words():
    table: Any = pd.read_csv("results/league_verdicts.csv")
    table = table[table["cell"].str.contains("equal time")].set_index("cell")
    assert table["verdict"].value_counts().to_dict() == {"worse": 2, "better": 1, "undecided": 1}
    assert table["verdict"]["CIFAR-10 at 64, equal time"] == "better"
    assert table["verdict"]["MNIST at 9, convolutional, equal time"] == "undecided"
    assert len(larger_cnns()) == 3
    cnn, larger = (step("cnn-dense", 9, dataset="mnist", budget=n) for n in (40_000, 200_000))
    kan = step("kan-shared-conv", 9, dataset="mnist")
    assert (kan / cnn, larger / kan) == (pytest.approx(4, abs=0.5), pytest.approx(1.2, abs=0.05))
    best: dict[str, Any] = {"basis": "gaussian-rbf", "budget": 100_000}
    kan = step("kan-shared", 16, depth=2, tied=False, **best)
    assert step("mlp", 16, budget=400_000, activation="silu") / kan == pytest.approx(0.8, abs=0.05)
    sides = MLP_150K, {"model": "kan-shared", "learning_rate": 0.008, **best}
    runs = [found("league-mnist-time", **side) for side in sides]
    assert {run.environment.passes for side in runs for run in side} == {"compiled"}
    mlps, kans = ([run.history.seconds for run in side] for side in runs)
    assert np.median(mlps) < np.median(kans)


def test_the_mlp_is_ahead_with_all_edges_and_behind_with_few():
    assert measure("test_mse", MLP) < measure("test_mse", PURE)
    assert pruned(MLP) > pruned(PURE)


def test_lines_hurt_the_decoder_more_and_edges_are_simpler_than_noise():
    assert 0 < with_lines("encoder") < with_lines("decoder")
    assert measure("explained", PURE) > measure("noise_explained", PURE)


def test_what_the_prose_says_of_texts_in_words():
    least = {size: min(on_texts(model, size) for model in TEXTS) for size in AS_LARGE}
    assert all(on_texts("mlp", size) < 1.02 * least[size] for size in AS_LARGE)  # level at most
    assert all(on_texts("kan", size) > on_texts("lsa", size) for size in AS_LARGE)
    assert 0.98 < on_texts("kan-shared", 16) / on_texts("mlp", 16) < 1.02
    assert all(0.98 < on_texts("kan-shared", n) / on_texts("lsa", n) < 1.02 for n in (32, 64))
    assert on_texts("kan", 16, "parameters") == AS_LARGE[16]


def test_what_the_prose_says_of_series_in_words():
    assert count("AE-KAN", "better", "level") == 0
    assert all_alike("kan-pure", "conv", "mlp", "linear", "pca") == 0
    for name in EXPERIMENTS:
        frame: Any = to_frame(records(name))
        errors = frame.groupby(["bottleneck", "model"])["test_mse"].mean().unstack()
        assert errors.idxmin(axis=1)[[2, 8]].tolist() == ["kan-pure", "pca"]
        assert set(errors.drop(columns="linear").idxmax(axis=1)) == {"kan"}
        pure = mean(name, model="kan-pure", bottleneck=4)
        assert mean(name, model="mlp", bottleneck=4, **SAME) < pure
        largest = frame[frame["bottleneck"] == 8]
        assert largest.set_index("model")["parameters"].idxmin() == "pca"
