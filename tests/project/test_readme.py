"""The pages keep their word: commands run, numbers are measured, links lead somewhere."""

import dataclasses
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pages import (
    DOCS,
    FENCED,
    GENERATED,
    LINK,
    PAGES,
    anchors,
    assert_quoted,
    fenced,
    links,
    text_of,
)
from programs import run_program
from scipy.stats import spearmanr
from workflow import exclusive

import kanlib
from kanlib.experiments import (
    Record,
    Run,
    load_arrays,
    load_experiment,
    load_records,
)
from kanlib.nn import FAMILIES, Rational

README = Path("README.md")
FINDINGS, LIMITS = Path("docs/findings.md"), Path("docs/limitations.md")
SPEED = Path("docs/speed.md")
# Not run here, and why.
SKIPPED = {
    "git clone": "needs an address",
    "cd kanlib": "belongs to git clone",
    "make test": "would run itself",
    "make lab": "waits for a browser",
    "make lock": "asks the network for new versions",
    "make clean": "would remove what other tests are using",
    "make setup": "has been run",
    "make format": "would change files that other tests are reading",
    "conda": "needs conda",
    "KANLIB_DATA=. .venv/bin/python -m kanlib.data pictures": "needs the reader's pictures",
    "make bench": "takes the machine for itself",
    "make faults": "takes minutes; tests/project/test_faults.py kills each kind once",
    "make site": "test_site.py makes it",
    ".venv/bin/snakemake --profile profiles/slurm": "needs a cluster; see test_cluster.py",
}
# What is linked before it is there.
PENDING: set[str] = set()


# Where a number comes from. test_committed.py holds the tables against the same records.


@cache
def records(name: str) -> list[Record]:
    return load_records(load_experiment(f"experiments/{name}.yaml").runs(), "results")


def found(name: str, **settings: Any) -> list[Record]:
    """All seeds of one configuration of an experiment."""
    common = load_experiment(f"experiments/{name}.yaml").common
    plain = {key: value for key, value in common.items() if not isinstance(value, list)}
    wanted = Run(**{**plain, **settings, "seed": 0})
    return [r for r in records(name) if r.run.model_copy(update={"seed": 0}) == wanted]


def of(record: Record, metric: str) -> float:
    value: Any = record.evaluation
    for key in metric.split("."):
        value = value[key] if isinstance(value, dict) else getattr(value, key)
    return float(value)


def mean(name: str, metric: str = "test_mse", **settings: Any) -> float:
    return float(np.mean([of(record, metric) for record in found(name, **settings)]))


def mnist(model: str, metric: str = "test_mse", **settings: Any) -> float:
    """At the code size that most pages quote."""
    return mean("small-mnist", metric, model=model, bottleneck=9, **settings)


def linear(name: str, size: int, metric: str = "test_mse") -> float:
    """Of the trained linear autoencoder."""
    return mean(name, metric, model="linear", bottleneck=size)


def cifar500(model: str, metric: str = "test_mse", **settings: Any) -> float:
    return mean("linear-cifar10", metric, model=model, bottleneck=500, **settings)


def linear_at_500() -> float:
    """Test error of linear on CIFAR-10, of the seeds that pure KAN has too."""
    paired = {"dataset": "cifar10", "bottleneck": 500, "kan": "pure KAN", "rival": "linear"}
    return float(row("results/verdicts.csv", metric="test_mse", **paired)["rival_value"])


def worth(model: str, **settings: Any) -> float:
    """Test error as a multiple of that of the MLP, same size."""
    rival = mean("worth-mnist", model="mlp", match_parameters=True)
    return mean("worth-mnist", model=model, **settings) / rival


def change(**settings: Any) -> float:
    """What a setting does to the test error of pure KAN."""
    return mean("sensitivity-mnist", **settings) / mean("sensitivity-mnist") - 1


def deep(**settings: Any) -> float:
    return mean("sensitivity-mnist", hidden=32, **settings)


def parameters_ratio(pick: Callable[[list[float]], float]) -> float:
    """Parameters of AE-KAN, as a multiple of those of the paper's CNN, at its code sizes."""
    ratios = [
        mean(name, "parameters", model="kan", bottleneck=size)
        / mean(name, "parameters", model="conv", bottleneck=size)
        for name in ("small-mnist", "small-svhn", "small-cifar10")
        for size in sorted({record.run.bottleneck for record in records(name)})
    ]
    return pick(ratios)


def deviations(name: str, model: str, **settings: Any) -> pd.Series:
    """How far our curve lies from the published one, at each code size."""
    table = pd.read_csv(f"results/{name}_mse.csv", index_col="bottleneck")
    [published] = [column for column in table if column.startswith("AE-KAN, published")]
    ours = pd.Series(
        {size: mean(name, model=model, bottleneck=size, **settings) for size in table.index}
    )
    return ours / table[published] - 1


def leak(name: str, pick: Callable[[list[float]], float]) -> float:
    """Points of accuracy that scoring on the fitted points adds to the models of an experiment."""
    gains: dict[Run, list[float]] = {}
    for record in records(name):
        gain = of(record, "leaky_knn_code.accuracy") - of(record, "knn.accuracy")
        gains.setdefault(record.run.model_copy(update={"seed": 0}), []).append(gain)
    return 100 * pick([sum(of_seeds) / len(of_seeds) for of_seeds in gains.values()])


def dead_units() -> tuple[list[float], list[float]]:
    """Of every AE-KAN of the stability study: dead units before the code, and test error."""
    runs = found("stability-mnist", model="kan")
    return [load_arrays(r)["dead_units"][0] for r in runs], [of(r, "test_mse") for r in runs]


def rank_correlation(first: list[float], second: list[float]) -> float:
    result: Any = spearmanr(first, second)
    return float(result.statistic)


def stability(model: str, **settings: Any) -> pd.Series:
    return pd.Series([of(r, "test_mse") for r in found("stability-mnist", model=model, **settings)])


def at_16(model: str, metric: str = "test_mse") -> float:
    """Of the best arm of a model in the league with 100,000 parameters."""
    plain: dict[str, Any] = {"budget": None, "centred": False}
    settings: dict[str, dict[str, Any]] = {
        "kan-shared": {"basis": "gaussian-rbf", "depth": 2, "learning_rate": 0.008},
        "mlp": {"activation": "prelu", "depth": 2, "learning_rate": 0.008},
        "kan-pure": {"basis": "polynomial", "base": "zero", "learning_rate": 0.016, **plain},
        "pca": {"output": None, **plain},
    }
    return mean("league-mnist-100k", metric, model=model, **settings[model])


# Compiled, its runs took no longer than those of the best KAN with 100,000 parameters.
MLP_150K = {"model": "mlp", "activation": "prelu", "budget": 150_000, "learning_rate": 0.008}


def larger_cnns() -> pd.Series:
    """Test errors of the CNN with 200,000 parameters, of the runs that did not get stuck."""
    runs = [r for r in records("league-mnist-conv-time") if r.run.model == "cnn-dense"]
    return pd.Series([error for run in runs if (error := of(run, "test_mse")) < 0.4])


def judged(cell: str, against: str, column: str = "difference") -> float:
    """On the best KAN of a cell of the league: a fraction of the rival's error."""
    titles = [load_experiment(path).title for path in Path("experiments").glob("league-*.yaml")]
    [title] = [title for title in titles if title.startswith(cell)]
    return float(row("results/league_verdicts.csv", cell=title, against=against)[column])


def reached(layer: int, part: int, **settings: Any) -> float:
    """Share of a layer's inputs: 0 on the grid, 1 where splines fade out, 2 beyond them."""
    runs = found("sensitivity-mnist", **settings)
    return float(np.mean([load_arrays(r)["coverage_after"][layer, part] for r in runs]))


@cache
def analyses() -> list[dict[str, Any]]:
    """What the interpretability study measured of pure KAN."""
    folder = Path("results/interpretability/mnist/kan-pure")
    return [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]


def with_lines(part: str) -> float:
    """How much the error grows where the functions of a part become lines."""
    whole = np.mean([a["test_mse"] for a in analyses()])
    return float(np.mean([a["ablation"][part]["line"] for a in analyses()]) / whole - 1)


def line_explained() -> float:
    layers = [[f["line"] for f in a["formulas"].values()] for a in analyses()]
    return float(np.mean(layers))


def jump() -> float:
    """The largest rise of the test error from one epoch to the next, of pure KAN on CIFAR-10."""
    runs = [r for r in records("small-cifar10") if r.run.model == "kan-pure"]
    losses = np.array([r.history.test_loss for r in runs])
    return float((losses[:, 1:] / losses[:, :-1] - 1).max())


def row(path: str, **cells: Any) -> Any:
    """The one row of a table that has these cells."""
    rows = pd.read_csv(path).to_dict("records")
    [found] = [row for row in rows if all(row[name] == value for name, value in cells.items())]
    return found


def benchmark(file: str, column: str = "median", **cells: Any) -> float:
    return float(row(f"results/benchmarks/{file}.csv", **cells)[column])


def layer_ms(competitor: str, settings: str = "plain") -> float:
    """Forward and backward of a first layer from 784 to 34 numbers."""
    return benchmark(
        "layers", what="first layer", shape="784-34", batch=64,
        competitor=competitor, settings=settings,
    )  # fmt: skip


def wide_ms(competitor: str) -> float:
    """Likewise from 3072 to 500 numbers."""
    return benchmark(
        "layers", what="first layer", shape="3072-500", batch=64,
        competitor=competitor, settings="plain",
    )  # fmt: skip


def times_silus(settings: str) -> list[float]:
    """Step of the shared KAN over that of the same network with SiLU, for each width and batch."""
    rows: Any = pd.read_csv("results/benchmarks/nodes.csv")
    rows = rows[rows["settings"] == settings]
    steps = rows.set_index(["shape", "batch", "competitor"])["median"].unstack()
    return list(steps["shared KAN"] / steps["MLP, SiLU"])


def target(row: str, column: str = "value") -> float:
    lines = Path("results/benchmarks/targets.md").read_text().splitlines()
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    [cells] = [dict(zip(head, cells, strict=True)) for cells in rows if cells[0] == row]
    return float(cells[column])


def verdicts(kan: str, rival: str) -> Any:
    """On test errors, at all data sets and code sizes."""
    table = pd.read_csv("results/verdicts.csv").query("metric == 'test_mse' and pairs > 0")
    return table[(table["kan"] == kan) & (table["rival"] == rival)]["verdict"]


def board(verdict: str, kan: str, rival: str) -> int:
    return int((verdicts(kan, rival) == verdict).sum())


def compared() -> int:
    kans = ("AE-KAN", "pure KAN")
    rivals = pd.read_csv("results/scoreboard.csv")["rival"]
    return sum(len(verdicts(kan, rival)) for kan in kans for rival in rivals)


def svhn_ratio(pick: Callable[[Any], Any]) -> float:
    return 1 + float(pick(deviations("elbow-svhn", "kan-pure")))


def hours_of_the_cnn_on_cifar10() -> float:
    """By the seconds of the same CNN on SVHN's digits, two runs at a time."""
    runs = [r for r in records("small-svhn") if r.run.model == "conv" and r.run.match_parameters]
    return sum(r.wall_seconds for r in runs) / 2 / 3600 * 50_000 / 7_999


def spread() -> float:
    errors = stability("kan")
    return errors.std() / errors.mean()


def spread_of_pure() -> float:
    errors = stability("kan-pure")
    return errors.std() / errors.mean()


def convolved(model: str, metric: str = "test_mse", bottleneck: int = 9, **settings: Any) -> float:
    return mean("conv-mnist", metric, model=model, bottleneck=bottleneck, **settings)


def moved(update_grid: str, **settings: Any) -> float:
    """What a grid that follows the data does to the test error."""
    follows = mean("update-grid-mnist", update_grid=update_grid, **settings)
    return follows / mean("update-grid-mnist", **settings) - 1


def knots_of_pure() -> list[float]:
    """Test errors of the three runs, the lowest first."""
    return sorted(of(r, "test_mse") for r in found("update-grid-mnist", **KNOTS))


def without() -> dict[int, float]:
    """Of the same seeds, with the paper's grid."""
    return {r.run.seed: of(r, "test_mse") for r in found("update-grid-mnist", model="kan-pure")}


def worse_with_knots() -> list[float]:
    """Seed by seed, the smallest first."""
    runs = found("update-grid-mnist", **KNOTS)
    return sorted(of(r, "test_mse") / without()[r.run.seed] - 1 for r in runs)


KNOTS: dict[str, Any] = {"model": "kan-pure", "update_grid": "knots"}
WORDS = ("better", "level", "worse", "undecided")
SAME: dict[str, Any] = {"match_parameters": True}
MINUS = "\N{MINUS SIGN}"
RECURSION = "layer against plain recursion, geometric mean"
# Every number on a page that was measured: page, number as it stands there, its source.
QUOTED: list[tuple[Path, str, Callable[[], float]]] = [
    (README, "77", lambda: parameters_ratio(min)),
    (README, "563", lambda: parameters_ratio(max)),
    (README, "0.182", lambda: mnist("kan")),
    (README, "0.142", lambda: mnist("pca")),
    (README, "3.1", lambda: target(RECURSION)),
    (README, "4%", lambda: deviations("elbow-mnist", "kan", preset="authors").abs().max()),
    (README, "2%", lambda: deviations("elbow-cifar10", "kan-pure").abs().max()),
    (README, "47%", lambda: mean("elbow-cifar10", model="kan-pure", bottleneck=522)
     / mean("elbow-cifar10", model="kan", bottleneck=522)),
    (README, "25", lambda: leak("small-mnist", max)),
    (README, "2.5%", lambda: -judged("MNIST at 9, about", "CNN")),
    (README, "11%", spread),
    (README, "1%", spread_of_pure),
    (FINDINGS, "4%", lambda: deviations("elbow-mnist", "kan", preset="authors").abs().max()),
    (FINDINGS, "0.9%", lambda: deviations("elbow-mnist", "kan", preset="authors").abs().median()),
    (FINDINGS, "31", lambda: len(deviations("elbow-mnist", "kan", preset="authors"))),
    (FINDINGS, "2%", lambda: deviations("elbow-cifar10", "kan-pure").abs().max()),
    (FINDINGS, "0.979", lambda: of(
        found("elbow-mnist", model="kan", preset="authors", bottleneck=784)[0],
        "leaky_knn_reconstruction.accuracy")),
    (FINDINGS, "47%", lambda: mean("elbow-cifar10", model="kan-pure", bottleneck=522)
     / mean("elbow-cifar10", model="kan", bottleneck=522)),
    (FINDINGS, "0.225", lambda: mnist("kan", preset="authors")),
    (FINDINGS, "0.182", lambda: mnist("kan")),
    (FINDINGS, "9", lambda: board("better", "AE-KAN", "CNN")),
    (FINDINGS, "77", lambda: parameters_ratio(min)),
    (FINDINGS, "563", lambda: parameters_ratio(max)),
    (FINDINGS, "16%", lambda: 1 - mnist("mlp", **SAME) / mnist("kan-pure")),
    (FINDINGS, "25%", lambda: mean("tuned-cifar10", model="kan-pure")
     / mean("tuned-cifar10", model="pca") - 1),
    (FINDINGS, "14%", lambda: 1 - linear_at_500() / cifar500("kan-pure")),
    (FINDINGS, "56%", lambda: 1 - cifar500("linear") / cifar500("mlp", **SAME)),
    (FINDINGS, "16%", lambda: 1 - mnist("kan-pure") / linear("linear-mnist", 9)),
    (FINDINGS, "35%", lambda: 1 - mean("small-svhn", model="kan-pure", bottleneck=32)
     / linear("linear-svhn", 32)),
    (FINDINGS, "12%", lambda: 1 - convolved("kan-conv", **SAME) / convolved("conv", **SAME)),
    (FINDINGS, "9%", lambda: 1 - convolved("kan-conv", bottleneck=18, **SAME)
     / convolved("conv", bottleneck=18, **SAME)),
    (FINDINGS, "20%", lambda: 1 - convolved("kan-pure") / convolved("kan-conv", **SAME)),
    (FINDINGS, "19%", lambda: 1 - convolved("kan-conv") / convolved("conv")),
    (FINDINGS, "9.7", lambda: convolved("kan-conv", "parameters")
     / convolved("conv", "parameters")),
    (FINDINGS, "+17%", lambda: moved("range", model="kan")),
    (FINDINGS, "+29%", lambda: moved("knots", model="kan")),
    (FINDINGS, "+24%", lambda: moved("range", model="kan-pure")),
    (FINDINGS, "+4%", lambda: moved("range", model="kan-pure", hidden=32)),
    (FINDINGS, f"{MINUS}4%", lambda: moved("knots", model="kan-pure", hidden=32)),
    (FINDINGS, "7.0", lambda: knots_of_pure()[-1]),
    (FINDINGS, "2%", lambda: worse_with_knots()[0]),
    (FINDINGS, "30%", lambda: worse_with_knots()[1]),
    (FINDINGS, "1", lambda: leak("small-mnist", min)),
    (FINDINGS, "25", lambda: leak("small-mnist", max)),
    (FINDINGS, "18%", lambda: worth("kan-pure") - 1),
    (FINDINGS, "57%", lambda: worth("kan") - 1),
    (FINDINGS, "8%", lambda: 1 - worth("spline-mlp", **SAME)),
    (FINDINGS, "1%", lambda: mean("small-cifar10", model="kan-pure", bottleneck=32)
     / mean("small-cifar10", model="pca", bottleneck=32) - 1),
    (FINDINGS, "+79%", lambda: change(batch_size=1024)),
    (FINDINGS, "+11%", lambda: change(learning_rate=0.0003)),
    (FINDINGS, f"{MINUS}6%", lambda: change(learning_rate=0.003)),
    (FINDINGS, "+5%", lambda: change(spline_order=1)),
    (FINDINGS, f"{MINUS}4%", lambda: change(grid_size=20)),
    (FINDINGS, f"{MINUS}4%", lambda: change(separate_scale=False)),
    (FINDINGS, f"{MINUS}25%", lambda: change(hidden=32)),
    (FINDINGS, "3.6", lambda: deep(metric="parameters")
     / mean("sensitivity-mnist", "parameters")),
    (FINDINGS, "44%", lambda: 1 - reached(1, 0)),
    (FINDINGS, "48%", lambda: reached(1, 2, hidden=32)),
    (FINDINGS, "60%", lambda: deep(metric="parameters", grid_range=2.2, grid_size=11)
     / deep(metric="parameters") - 1),
    (FINDINGS, "5%", lambda: 1 - deep(grid_range=2.2, grid_size=11) / deep()),
    (FINDINGS, "88%", line_explained),
    (FINDINGS, "2%", lambda: with_lines("encoder")),
    (FINDINGS, "23%", lambda: with_lines("decoder")),
    (FINDINGS, "7%", lambda: 1 - mean("text-20news", model="mlp", bottleneck=64, **SAME)
     / mean("text-20news", model="lsa", bottleneck=64, epochs=None, decay=None)),
    (FINDINGS, "2.5%", lambda: -judged("MNIST at 9, about", "CNN")),
    (FINDINGS, "1.9%", lambda: -judged("Fashion-MNIST at 9", "CNN")),
    (FINDINGS, "3.8%", lambda: -judged("MNIST at 16, about 100,000", "MLP")),
    (FINDINGS, "36%", lambda: judged("ItalyPowerDemand", "MLP")),
    (FINDINGS, "2.6%", lambda: -judged("MNIST at 16, about 400,000", "MLP")),
    (FINDINGS, "2.8%", lambda: -judged("CIFAR-10 at 64, about", "MLP")),
    (FINDINGS, "3.6", lambda: judged("MNIST at 16, about 100,000", "MLP", "relative_width")),
    (FINDINGS, "2.6", lambda: judged("MNIST at 9, about", "MLP", "relative_width")),
    (FINDINGS, "2.6", lambda: judged("Fashion-MNIST at 9", "MLP", "relative_width")),
    (FINDINGS, "1.4%", lambda: judged("Fashion-MNIST at 34", "MLP")),
    (FINDINGS, "9.5%", lambda: judged("SVHN's digits", "MLP")),
    (FINDINGS, "11%", lambda: judged("MNIST at 34", "MLP")),
    (FINDINGS, "38%", lambda: judged("MNIST at 16, equal time", "MLP")),
    (FINDINGS, "12%", lambda: judged("MNIST at 16, larger models, equal time", "MLP")),
    (FINDINGS, "2.6%", lambda: -judged("CIFAR-10 at 64, equal time", "MLP")),
    (FINDINGS, "6%", lambda: 1 - mean("league-mnist-time", **MLP_150K) / at_16("kan-shared")),
    (FINDINGS, "10%", lambda: 1 - larger_cnns().mean()
     / mean("league-mnist-40k", model="kan-shared-conv", learning_rate=0.008)),
    (FINDINGS, "1.4", lambda: at_16("kan-pure") / at_16("kan-shared")),
    (FINDINGS, "49%", lambda: at_16("kan-pure", "test_recall")),
    (FINDINGS, "59%", lambda: at_16("kan-shared", "test_recall")),
    (FINDINGS, "26%", lambda: 1 - mean("series-gunpoint", model="kan-pure", bottleneck=2)
     / mean("series-gunpoint", model="pca", bottleneck=2)),
    (FINDINGS, "11%", spread),
    (FINDINGS, "52%", lambda: stability("kan").max() / stability("kan").min() - 1),
    (FINDINGS, "1%", spread_of_pure),
    (FINDINGS, "5.7", lambda: float(np.mean(dead_units()[0]))),
    (FINDINGS, "0.96", lambda: rank_correlation(*dead_units())),
    (FINDINGS, "28%", jump),
    (LIMITS, "18", hours_of_the_cnn_on_cifar10),
    (LIMITS, "1.4", lambda: svhn_ratio(min)),
    (LIMITS, "5.5", lambda: svhn_ratio(max)),
    (LIMITS, "108", compared),
    (LIMITS, "5", lambda: 0.05 * compared()),
    (LIMITS, "8%", lambda: 1 - worth("spline-mlp", **SAME)),
    (Path("docs/reproduce.md"), "18", hours_of_the_cnn_on_cifar10),
    (SPEED, "0.60", lambda: benchmark("peak_memory", what="memory of evaluation")
     / benchmark("peak_memory", what="memory of training step")),
    (SPEED, "7", lambda: Path("results/benchmarks/targets.md").read_text().count("| met ")),
    (SPEED, "5", lambda: Path("results/benchmarks/targets.md").read_text().count("| missed ")),
    (SPEED, "1.10", lambda: layer_ms("KANLinear")),
    (SPEED, "6.63", lambda: layer_ms("recursion")),
    (SPEED, "0.163", lambda: layer_ms("MLP")),
    (SPEED, "0.742", lambda: layer_ms("KANLinear", "malloc, onednn, compiled")),
    (SPEED, "3.07", lambda: target(RECURSION)),
    (SPEED, "2.31", lambda: target(RECURSION, "scale kept")),
    (SPEED, "4.97", lambda: target("batch run on digits, seconds outside training and evaluation")),
    (SPEED, "2.30", lambda: layer_ms("FastKAN")),
    (SPEED, "4.53", lambda: layer_ms("shared functions")),
    (SPEED, "10.7", lambda: wide_ms("shared functions")),
    (SPEED, "40.4", lambda: wide_ms("KANLinear")),
    (SPEED, "1.12", lambda: min(times_silus("malloc, onednn, compiled"))),
    (SPEED, "1.19", lambda: max(times_silus("malloc, onednn, compiled"))),
    (SPEED, "1.8", lambda: min(times_silus("plain"))),
    (SPEED, "2.3", lambda: max(times_silus("plain"))),
    (SPEED, "2%", lambda: target("peak memory of a step, with settings, of the authors', worst")
     - 1),
    (SPEED, "1.18", lambda: benchmark("startup", what="import", competitor="torch")),
]  # fmt: skip
# Numbers that nobody measured here: settings, sizes of data, definitions, promises of time.
PLAIN = {
    # 83 and 1.8%: see CHANGELOG.md; the records before are not kept.
    README: "95% 10,000 2% 3.11 6 5 15 3 10 12 1,700",
    FINDINGS: "95% 10,000 7,999 0 64 500 2 12 1,024 0.0003 0.001 0.003 3 8 20 5 2,000 16 32 40,000 "
    "67 100,000 150,000 400,000",
    LIMITS: "95% 10,000 73,257 2% 83 1.8% 2009 2011 3.0 4.0 67 50",
    SPEED: "2.15 100 5 64 34 224 128 3 784 3072 500 256 1,024 5%",
    Path("docs/reproduce.md"): "64 16 30",
    Path("docs/own-data.md"): "1 5",
    Path("docs/layers.md"): "",
    Path("docs/kans.md"): "",
    Path("docs/install.md"): "3.11 6 2.6 8",
    Path("docs/glossary.md"): ("95% 2% 3 60,000 50,000 10,000 28 32 7,999 2,001 8 5 20"),
}
# Heads of tables.
OWN_TEST = (
    "| basis | an edge adds up |",
    "| model | test error | parameters |",
    "| experiment |",
)
NUMBER = re.compile(rf"(?<![\w.,/])[+{MINUS}]?\d[\d,]*(?:\.\d+)?%?(?!\w)")


def numbers(page: Path) -> list[str]:
    """The numbers that a reader of a page sees in its sentences and small tables."""
    text = FENCED.sub("", GENERATED.sub("", text_of(page)))
    text = re.sub(r"`[^`]*`", "code", LINK.sub(lambda link: "" if link[1] else link[2], text))
    for head in OWN_TEST:
        text = re.sub(rf"^{re.escape(head)}(.*\n\|)*.*$", "", text, flags=re.MULTILINE)
    names = r"arXiv [\d.]+|CIFAR-10|\[-1, 1\]|\d+-\d+|^\d+\. |^\| \d\d "  # and of notebooks
    text = re.sub(names, "", text, flags=re.MULTILINE)
    return [number.rstrip(",") for number in NUMBER.findall(text)]


def code_sizes() -> set[str]:
    plans = [load_experiment(path) for path in Path("experiments").glob("*.yaml")]
    return {str(run.bottleneck) for plan in plans for run in plan.runs()}


@pytest.mark.parametrize(
    ("page", "number", "source"), QUOTED, ids=[f"{p.stem}: {n}" for p, n, _ in QUOTED]
)
def test_a_number_on_a_page_is_the_measured_one(page, number, source):
    value = source()
    assert_quoted(number, value, numbers(page))
    assert number[0] not in f"+{MINUS}" or (number[0] == MINUS) == (value < 0)


@pytest.mark.parametrize("page", [README, *DOCS], ids=str)
def test_every_number_on_a_page_has_a_source(page):
    known = {number for where, number, _ in QUOTED if where == page} | code_sizes()
    known |= set(PLAIN.get(page, "").split())
    assert set(numbers(page)) <= known


def test_the_table_of_the_readme_is_that_of_its_records():
    rows = re.findall(r"^\| (\S.*?) \| (0\.\d+) \| ([\d,]+) \| ", text_of(README), re.M)
    models: dict[str, dict[str, Any]] = {
        "AE-KAN": {"model": "kan"},
        "AE-KAN (authors' rate)": {"model": "kan", "preset": "authors"},
        "pure KAN": {"model": "kan-pure"},
        "CNN": {"model": "conv"},
        "CNN, same size": {"model": "conv", **SAME},
        "MLP, same size": {"model": "mlp", **SAME},
        "PCA": {"model": "pca"},
    }
    assert rows == [
        (name, f"{mnist(**settings):.3f}", f"{mnist(metric='parameters', **settings):,.0f}")
        for name, settings in models.items()
    ]


def test_every_family_of_functions_is_on_its_page_with_the_numbers_of_an_edge():
    text = text_of(Path("docs/kans.md"))
    rows = re.findall(r"^\| `(\S+)` \| .* \| `([^`]+)` \| (\d+) \|$", text, re.M)
    assert [name for name, *_ in rows] == list(FAMILIES)
    sources = re.findall(r"^\| `(\S+)` \| `(\w+)` \| \[", text, re.M)
    assert [name for name, _ in sources] == list(FAMILIES)
    for (name, formula, by_default), (_, made_by) in zip(rows, sources, strict=True):
        for change in ({}, {"grid_size": 4}, {"spline_order": 2}, {"degree": 7}):
            family = FAMILIES[name]
            known = {field.name for field in dataclasses.fields(family)}
            basis = family(**{key: value for key, value in change.items() if key in known})
            if isinstance(basis, Rational):
                made: Any = kanlib.RationalLinear(3, 2, basis.groups)
                on_edges = made.linear.weight.numel()
            else:
                made = basis
                on_edges = kanlib.KANLinear(3, 2, basis=basis).weight.numel()
            assert type(made).__name__ == made_by
            symbols = {"grid_size": "G", "spline_order": "k", "degree": "n"}
            values = {symbols[key]: getattr(basis, key) for key in known & symbols.keys()}
            assert eval(formula, values) * 3 * 2 == on_edges
            assert change or int(by_default) == on_edges // (3 * 2)


def test_the_readme_promises_no_more_runs_than_are_committed():
    [promised] = re.findall(r"more than ([\d,]+) committed runs", text_of(README))
    there = [p for p in Path("results/runs").rglob("*.json") if "digits" not in p.parts]
    assert len(there) > int(promised.replace(",", ""))


# Commands and snippets


def commands() -> list[str]:
    blocks = [block for page in PAGES for block in fenced(page, "bash")]
    lines = [line.split(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in dict.fromkeys(lines) if line and not line.startswith(tuple(SKIPPED))]


def test_the_pages_have_commands_to_test():
    assert {"make paper", "make findings", "make paper EXPERIMENT=mnist"} <= set(commands())


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_pages_works(command):
    if not Path(".venv/.installed").exists():
        pytest.skip("the commands use .venv, which `make setup` makes")
    environment = os.environ | {"TQDM_DISABLE": "1"}
    made = Path("results/runs/digits")  # by `make paper`; no need to make them twice
    with exclusive():
        if made.exists() and "results=build/results" in command:
            shutil.copytree(made, "build" / made, dirs_exist_ok=True)
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, env=environment, timeout=900
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("snippet", [code for page in PAGES for code in fenced(page, "python")])
def test_a_python_snippet_of_the_pages_runs(snippet, tmp_path):
    done = run_program(snippet, tmp_path)
    assert done.returncode == 0, done.stderr
    promised = re.findall(r"print\(.*\)  # (.+)", snippet)
    assert [line for line in done.stdout.splitlines() if line in promised] == promised


@pytest.mark.parametrize("example", [code for page in PAGES for code in fenced(page, "yaml")])
def test_an_experiment_of_the_pages_is_valid(example, tmp_path):
    (tmp_path / "example.yaml").write_text(example)
    assert load_experiment(tmp_path / "example.yaml").runs()


@pytest.mark.slow
def test_the_output_that_the_readme_shows_is_that_of_its_first_command():
    made = Path("results/digits_mse.md")
    if not made.exists():
        pytest.skip("`make paper` has not been run here")
    [shown] = [block for block in fenced(README, "text") if "AE-KAN" in block]
    rows = [[part.strip() for part in line.split("|")[1:-1]] for line in shown.splitlines()]
    there = [[p.strip() for p in line.split("|")[1:-1]] for line in made.read_text().splitlines()]
    assert [row[0] for row in rows[2:]] == [row[0] for row in there[2:]]
    for ours, theirs in zip(rows[2:], there[2:], strict=True):
        assert [float(x) for x in ours[1:]] == pytest.approx(
            [float(x) for x in theirs[1:]], rel=0.1
        )


# Tables, links, anchors, images


@pytest.mark.parametrize(
    ("page", "path", "table"),
    [(page, *block) for page in PAGES for block in GENERATED.findall(text_of(page))],
    ids=str,
)
def test_a_generated_table_is_the_committed_one(page, path, table):
    assert table == Path(path).read_text()


def test_the_scoreboard_counts_the_verdicts():
    table = pd.read_csv("results/scoreboard.csv", index_col="rival")
    assert list(table) == ["AE-KAN", "pure KAN"]
    for kan, cells in table.items():
        for rival, cell in cells.items():
            counts = verdicts(str(kan), str(rival)).value_counts()
            assert cell == ", ".join(f"{counts[word]} {word}" for word in WORDS if word in counts)


def test_the_scoreboard_and_the_targets_are_shown():
    shown = {path for page in PAGES for path, _ in GENERATED.findall(text_of(page))}
    assert {"results/scoreboard.md", "results/benchmarks/targets.md"} <= shown


def test_links_anchors_and_images_of_the_pages_lead_somewhere():
    missing = set()
    for page in PAGES:
        for target in links(page):
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page.resolve()
            name = os.path.relpath(there)
            if not there.exists():
                missing.add(name)
            elif anchor and anchor not in anchors(there):
                missing.add(f"{name}#{anchor}")
    assert missing == {name for name in PENDING if not Path(name).exists()}
    assert not any(Path(name).exists() for name in PENDING), "it is there: take it off PENDING"


def test_every_page_is_linked_from_the_readme():
    linked = {Path(target.partition("#")[0]) for target in links(README)}
    assert set(DOCS) <= linked
    assert set(Path("notebooks").glob("*.ipynb")) <= linked


# Experiments of a row of the table, its runs and its minutes.
ROW = re.compile(r"^\| (\[.+\.yaml\)) \|.*\| (\d+) \| (\d+) \|$", re.MULTILINE)
COSTS = ROW.findall(text_of(Path("docs/reproduce.md")))


@pytest.mark.parametrize(("links_", "runs", "minutes"), COSTS)
def test_costs_of_experiments_are_those_of_their_records(links_, runs, minutes):
    plans = [load_experiment(path) for path in re.findall(r"\(\.\./(experiments/.+?)\)", links_)]
    paths = {run.path("results") for plan in plans for run in plan.runs()}
    assert len(paths) == int(runs)
    if not all(path.exists() for path in paths):
        assert {path.parts[2] for path in paths} == {"digits"}, "only the digits are not committed"
        pytest.skip("made by `make paper`")
    seconds = sum(json.loads(path.read_text())["wall_seconds"] for path in paths)
    assert seconds / 2 / 60 == pytest.approx(int(minutes), abs=1)


def test_the_table_of_experiments_is_whole():
    named = set(re.findall(r"experiments/([\w-]+)\.yaml", "".join(row[0] for row in COSTS)))
    there = {path.stem for path in Path("experiments").glob("*.yaml")}
    not_run = {"matched-cifar10"}
    assert there - named == not_run | {"interpretability-digits"}
