"""The numbers in the prose of the notebooks about the paper are the measured ones."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from pages import assert_quoted
from project.test_readme import (
    SAME,
    board,
    cifar500,
    code_sizes,
    deviations,
    found,
    leak,
    linear_at_500,
    mean,
    mnist,
    numbers,
    of,
    parameters_ratio,
    row,
    stability,
    svhn_ratio,
)

from kanlib.models import build_model, count_parameters
from kanlib.report import audit

PAPER, AUDIT, VERDICTS = (
    Path(f"notebooks/{name}.ipynb") for name in ("00_paper", "05_audit", "06_verdicts")
)


def on_mnist(pick: Callable[[Any], Any]) -> float:
    return float(pick(deviations("elbow-mnist", "kan", preset="authors").abs()))


def largest_mnist(metric: str) -> float:
    """Of the AE-KAN whose confusion matrix is published."""
    return of(found("elbow-mnist", model="kan", preset="authors", bottleneck=784)[0], metric)


def at_522(model: str) -> float:
    return mean("elbow-cifar10", model=model, bottleneck=522)


def text_over_published() -> float:
    """AE-KAN's test error on CIFAR-10 at 522, as a multiple of the published one."""
    published = pd.read_csv("results/published/elbow_cifar10.csv", index_col="bottleneck")
    return at_522("kan") / published["test_mse"].to_dict()[522]


def tanh(model: str, with_tanh: str | None, without: str | None) -> float:
    bounded = mean("output-mnist", model=model, output=with_tanh)
    return 1 - bounded / mean("output-mnist", model=model, output=without)


def paper_cells(verdict: str) -> int:
    return pd.read_csv("results/paper.csv")["verdict"].tolist().count(verdict)


def largest(place: str) -> float:
    return float(row("results/audit.csv", place=place)["largest"])


def loss_averages() -> float:
    images, batches = audit.loss_averages()
    return batches / images - 1


def inputs_at_4() -> float:
    """Points that AE-KAN loses where its images are scored."""
    images, code = (
        mean("small-mnist", f"leaky_knn_{what}.accuracy", model="kan", bottleneck=4)
        for what in ("reconstruction", "code")
    )
    return 100 * (code - images)


def accuracies(kan: str, rival: str, verdict: str) -> int:
    table = pd.read_csv("results/verdicts.csv").query("metric == 'knn_accuracy'")
    rows = table[(table["kan"] == kan) & (table["rival"] == rival)]
    return rows["verdict"].tolist().count(verdict)


# Notebook, number as it stands there, its source.
QUOTED: list[tuple[Path, str, Callable[[], float]]] = [
    (PAPER, "77", lambda: parameters_ratio(min)),
    (PAPER, "563", lambda: parameters_ratio(max)),
    (PAPER, "4%", lambda: on_mnist(pd.Series.max)),
    (PAPER, "0.9%", lambda: on_mnist(pd.Series.median)),
    (PAPER, "31", lambda: on_mnist(len)),
    (PAPER, "2%", lambda: deviations("elbow-cifar10", "kan-pure").abs().max()),
    (PAPER, "2.14", text_over_published),
    (PAPER, "1.4", lambda: svhn_ratio(min)),
    (PAPER, "5.5", lambda: svhn_ratio(max)),
    (PAPER, "0.979", lambda: largest_mnist("leaky_knn_reconstruction.accuracy")),
    (PAPER, "0.966", lambda: largest_mnist("knn.accuracy")),
    (PAPER, "70,740", lambda: audit.parameters_by_formula(784, 9)),
    (PAPER, "141,300", lambda: count_parameters(build_model("kan", (1, 28, 28), 9))),
    (AUDIT, "47%", lambda: mnist("mlp", **SAME) / mnist("conv")),
    (AUDIT, "47%", lambda: at_522("kan-pure") / at_522("kan")),
    (AUDIT, "4%", lambda: on_mnist(pd.Series.max)),
    (AUDIT, "2%", lambda: deviations("elbow-cifar10", "kan-pure").abs().max()),
    (AUDIT, "77", lambda: parameters_ratio(min)),
    (AUDIT, "563", lambda: parameters_ratio(max)),
    (AUDIT, "7,840", lambda: mnist("pca", "parameters")),
    (AUDIT, "2.33", lambda: largest("the learning rate")),
    (AUDIT, "1", lambda: leak("small-mnist", min)),
    (AUDIT, "25", lambda: leak("small-mnist", max)),
    (AUDIT, "52%", lambda: stability("kan").max() / stability("kan").min() - 1),
    (AUDIT, "8", inputs_at_4),
    (AUDIT, "8%", lambda: tanh("conv", None, "linear")),
    (AUDIT, "7%", lambda: tanh("kan-pure", "tanh", None)),
    (AUDIT, "0.2%", loss_averages),
    (VERDICTS, "9", lambda: board("better", "AE-KAN", "CNN")),
    (VERDICTS, "16%", lambda: 1 - mnist("mlp", **SAME) / mnist("kan-pure")),
    (VERDICTS, "14%", lambda: 1 - linear_at_500() / cifar500("kan-pure")),
    (VERDICTS, "25%", lambda: mean("tuned-cifar10", model="kan-pure")
     / mean("tuned-cifar10", model="pca") - 1),
]  # fmt: skip
# What nobody measured here: settings, sizes of data, definitions, and the numbers of sections.
PLAIN = {
    PAPER: "95% 10,000 784 5 10 1 2 3 4 6 7",
    AUDIT: "10,000 20 0.001 0.0001 5 10 8 16 784 1 2 3 4 6 7 9",
    VERDICTS: "1 95% 2% 10,000 7,999 64 12 500",
}


@pytest.mark.parametrize(
    ("page", "number", "source"), QUOTED, ids=[f"{p.stem}: {n}" for p, n, _ in QUOTED]
)
def test_a_number_in_a_notebook_is_the_measured_one(page, number, source):
    assert_quoted(number, source(), numbers(page))


@pytest.mark.parametrize("page", [PAPER, AUDIT, VERDICTS], ids=lambda page: page.stem)
def test_every_number_in_a_notebook_has_a_source(page):
    known = {number for where, number, _ in QUOTED if where == page} | code_sizes()
    assert set(numbers(page)) <= known | set(PLAIN[page].split())


def test_the_leak_on_cifar10_is_about_20_points():
    assert 18 < leak("small-cifar10", min) < leak("small-cifar10", max) < 23


def test_the_audit_is_sorted_by_the_size_of_effects():
    table = pd.read_csv("results/audit.csv")
    assert len(table) == 9
    assert table["largest"].is_monotonic_decreasing
    assert len([factor for factor in table["largest"].tolist() if factor >= 1.5]) == 6


def test_the_paper_has_ten_items_of_which_five_hold():
    assert len(pd.read_csv("results/paper.csv")) == 10
    assert (paper_cells("holds"), paper_cells("cannot be known")) == (5, 3)


def test_places_that_are_counted_in_words():
    assert board("better", "AE-KAN", "PCA") == board("better", "AE-KAN", "MLP, same size") == 0
    assert board("better", "AE-KAN", "CNN, same size") == 0
    assert board("better", "pure KAN", "MLP, same size") == 1
    assert board("better", "pure KAN", "CNN, same size") == 4
    assert accuracies("pure KAN", "PCA", "better") == 8
    assert accuracies("pure KAN", "MLP, same size", "worse") == 6


def test_a_linear_autoencoder_is_level_with_pure_kan_on_cifar10_and_better_at_500():
    asked = "metric == 'test_mse' and rival == 'linear' and kan == 'pure KAN'"
    table: Any = pd.read_csv("results/verdicts.csv").query(asked)
    found = table.set_index("bottleneck").groupby("dataset")["verdict"].agg(dict).to_dict()
    assert found["cifar10"] == {32: "level", 48: "level", 64: "level", 500: "worse"}
    assert set(found["mnist"].values()) == {"better"}
    parameters = cifar500("linear", "parameters") / cifar500("kan-pure", "parameters")
    assert round(parameters, 2) == 0.1


def test_no_option_or_column_is_named_in_the_prose():
    for page in (PAPER, AUDIT, VERDICTS):
        text = re.sub(r"`results/[^`]*`|`elbow-[^`]*`", "", page.read_text())
        cells = re.findall(r'"cell_type": "markdown".*?"source": \[(.*?)\]', text, re.DOTALL)
        assert not re.search(r"bottleneck|test_mse|knn_|svhn-test10k", "".join(cells))
