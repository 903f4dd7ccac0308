"""Numbers in the prose of the first notebooks are those of records, tables, or their own output."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pages import assert_quoted, text_of

from kanlib.data import load_images
from kanlib.experiments import Run, load_experiment, load_records, to_frame

LAYER, TRAIN, TABLES, FIGURES = (
    Path(f"notebooks/{name}.ipynb")
    for name in ("01_kan_layer", "02_train_autoencoder", "03_tables", "04_figures")
)
SAME: dict[str, Any] = {"match_parameters": True}


@cache
def small(metric: str, **settings: Any) -> float:
    """Mean over the seeds of small-mnist, at the code size that is quoted."""
    runs = load_experiment("experiments/small-mnist.yaml").runs()
    wanted = Run(**{"dataset": "mnist", "bottleneck": 9, "seed": 0, **settings})
    mine = [run for run in runs if run.model_copy(update={"seed": 0}) == wanted]
    frame = to_frame(load_records(mine, "results"))
    return float(frame[metric].to_numpy(float).mean())


def error(model: str, **settings: Any) -> float:
    return small("test_mse", model=model, **settings)


def accuracy(model: str, **settings: Any) -> float:
    return small("knn_accuracy", model=model, **settings)


def line_explained() -> float:
    """Share of the variance of pure KAN's edges that lines explain, as in the findings."""
    paths = sorted(Path("results/interpretability/mnist/kan-pure").glob("*.json"))
    analyses = [json.loads(path.read_text()) for path in paths]
    return float(np.mean([[f["line"] for f in a["formulas"].values()] for a in analyses]))


def steps(images: int, epochs: int = 10, batch: int = 64) -> float:
    return epochs * -(-images // batch)


def mean_image() -> float:
    digits = load_images("digits")
    mean = digits.train.images.mean(0)
    return float((digits.test.images - mean).square().mean())


def trained(place: int) -> float:
    """Test error of a model that the stored notebook trained: of the first and second row."""
    cells = json.loads(TRAIN.read_text())["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    [table] = [
        "".join(output["data"]["text/html"])
        for output in outputs
        if "text/html" in output.get("data", {})
    ]
    return float(re.findall(r"<th>[^<]+</th>\s*<td>([\d.]+)</td>", table)[place])


# Every number that was measured: notebook, number as it stands there, its source.
QUOTED: list[tuple[Path, str, Callable[[], float]]] = [
    (LAYER, "0.125", lambda: error("kan-pure")),
    (LAYER, "0.142", lambda: error("pca")),
    (LAYER, "88%", line_explained),
    (TRAIN, "0.182", lambda: error("kan")),
    (TRAIN, "0.105", lambda: error("mlp", **SAME)),
    (TRAIN, "9,380", lambda: steps(60_000)),
    (TRAIN, "230", lambda: steps(1_437)),
    (TRAIN, "0.296", mean_image),
    (TRAIN, "0.380", lambda: trained(0)),
    (TRAIN, "0.166", lambda: trained(1)),
    (TABLES, "0.105", lambda: error("mlp", **SAME)),
    (TABLES, "0.125", lambda: error("kan-pure")),
    (TABLES, "0.142", lambda: error("pca")),
    (TABLES, "0.182", lambda: error("kan")),
    (TABLES, "0.919", lambda: accuracy("mlp", **SAME)),
    (TABLES, "0.907", lambda: accuracy("pca")),
    (TABLES, "0.905", lambda: accuracy("kan-pure")),
    (TABLES, "0.721", lambda: accuracy("conv")),
    (TABLES, "0.574", lambda: accuracy("kan")),
]
# Numbers that nobody measured: sizes of data and codes, definitions, digits that are drawn.
PLAIN = {
    LAYER: "9 3 5 1 0 784 8 -1 4 7 10 64",
    TRAIN: "9 60,000 3",
    TABLES: "9 3",
    FIGURES: "9 2 8",
}
NUMBER = re.compile(r"(?<![\w.,/])[+-]?\d[\d,]*(?:\.\d+)?%?(?!\w)")


def numbers(notebook: Path) -> list[str]:
    """The numbers in its sentences: no code, links, formulas, or names."""
    text = re.sub(
        r"`[^`]*`|\$\$.*?\$\$|\$[^$\n]+\$|\]\([^)]*\)", " ", text_of(notebook), flags=re.DOTALL
    )
    text = re.sub(r"\[-1, 1\]|\d × \d|\b3-NN\b|\[\d\d_\w+", " ", text)
    return [number.rstrip(",") for number in NUMBER.findall(text)]


@pytest.mark.parametrize(
    ("notebook", "number", "source"), QUOTED, ids=[f"{n.stem}: {x}" for n, x, _ in QUOTED]
)
def test_a_number_of_a_notebook_is_the_measured_one(notebook, number, source):
    assert_quoted(number, source(), numbers(notebook))


@pytest.mark.parametrize("notebook", PLAIN, ids=lambda path: path.stem)
def test_every_number_of_a_notebook_has_a_source(notebook):
    known = {number for where, number, _ in QUOTED if where == notebook}
    assert set(numbers(notebook)) <= known | set(PLAIN[notebook].split())


def test_the_models_are_ordered_as_the_sentences_say():
    best = [error("mlp", **SAME), error("kan-pure"), error("pca")]
    others = [error("conv", **SAME), error("kan"), error("conv"), error("kan", preset="authors")]
    assert best == sorted(best) and best[-1] < min(others)
