"""Where the paper's text, its code and a sound comparison part, and how much each place changes.

An effect is a factor: a number got in the paper's way, and one got in a sound way, the larger
divided by the smaller.
"""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kanlib.data import load_images
from kanlib.models import PCA, build_model, count_parameters
from kanlib.report.labels import data_words

# Place -> the number that it changes. In the order of their largest effects.
PLACES = {
    "a rival of the same size": "the rival's test error",
    "the learning rate": "AE-KAN's test error",
    "the architecture": "the KAN's test error",
    "the formula for parameters": "AE-KAN's parameters",
    "neighbours among the test images": "AE-KAN's accuracy",
    "one run": "AE-KAN's test error, from seed to seed",
    "images scored in place of codes": "AE-KAN's accuracy",
    "a bounded output": "the CNN's test error",
    "the mean over batches": "any test error",
}
_PLACE = ["dataset", "bottleneck"]
_AE_KAN = {"model": "kan", "preset": "paper"}
_LEAKY = "leaky_knn_code_accuracy"


def mean_of(frame: pd.DataFrame, metric: str, **chosen: Any) -> pd.Series:
    """Mean over seeds of the runs with these parameters; index dataset, bottleneck.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns.
        metric: column.
        chosen: parameters of ``kanlib.experiments.Run``.
    """
    rows: Any = frame[(frame[list(chosen)] == pd.Series(chosen)).all(axis=1)]
    return rows.groupby(_PLACE, sort=False)[metric].mean()


def parameters_by_formula(pixels: int, bottleneck: int) -> int:
    """What the paper's formula gives: 5 numbers an edge, and the dense layers."""
    return 2 * 5 * pixels * bottleneck + 2 * (bottleneck * bottleneck + bottleneck)


def parameter_counts(sizes: Sequence[int]) -> pd.DataFrame:
    """Parameters of AE-KAN on MNIST as built, and by the paper's formula; index bottleneck."""
    built = [count_parameters(build_model("kan", (1, 28, 28), size)) for size in sizes]
    formula = [parameters_by_formula(784, size) for size in sizes]
    return pd.DataFrame(
        {"built": built, "formula": formula}, index=pd.Index(sizes, name="bottleneck")
    )


def loss_averages() -> tuple[float, float]:
    """An error averaged over images, and over batches of 64, of which the last is smaller.

    PCA with 8 numbers on scikit-learn's digits stands for any model.
    """
    digits = load_images("digits")
    model = PCA(digits.shape, 8)
    model.fit(digits.train.images)
    images = digits.test.images
    errors = (model(images) - images).square().flatten(1).mean(1)
    batches = errors.split(64)
    return float(errors.mean()), float(sum(batch.mean() for batch in batches) / len(batches))


def factors(frame: pd.DataFrame, seeds: pd.DataFrame, outputs: pd.DataFrame) -> pd.DataFrame:
    """The effect of each place, wherever it was measured.

    Args:
        frame: runs of the paper's comparison, as ``kanlib.experiments.to_frame`` returns.
        seeds: many seeds of AE-KAN.
        outputs: models with a Tanh at the output, and without.

    Returns:
        Columns place (key of ``PLACES``), dataset, bottleneck, factor (1: it changes nothing).
    """
    kan = mean_of(frame, "test_mse", **_AE_KAN)
    sizes = frame.loc[frame["dataset"] == "mnist", "bottleneck"].unique().tolist()
    counts = parameter_counts(sizes)
    built = pd.concat({"mnist": counts["built"] / counts["formula"]}, names=["dataset"])
    spread: Any = seeds[(seeds[list(_AE_KAN)] == pd.Series(_AE_KAN)).all(axis=1)]
    errors = spread.groupby(_PLACE)["test_mse"]
    code = mean_of(frame, _LEAKY, **_AE_KAN)
    bounded = outputs.assign(tanh=outputs["output"].isna())  # the CNN's own output is a Tanh
    images, batches = loss_averages()
    digits = pd.MultiIndex.from_tuples([("digits", 8)], names=_PLACE)
    ratios = [
        mean_of(frame, "test_mse", model="conv", match_parameters=False)
        / mean_of(frame, "test_mse", model="mlp", match_parameters=True),
        mean_of(frame, "test_mse", model="kan", preset="authors") / kan,
        kan / mean_of(frame, "test_mse", model="kan-pure"),
        built,
        code / mean_of(frame, "knn_accuracy", **_AE_KAN),
        errors.max() / errors.min(),
        mean_of(frame, "leaky_knn_reconstruction_accuracy", **_AE_KAN) / code,
        mean_of(bounded, "test_mse", model="conv", tanh=False)
        / mean_of(bounded, "test_mse", model="conv", tanh=True),
        pd.Series([batches / images], digits),
    ]
    table: Any = pd.concat(dict(zip(PLACES, ratios, strict=True)), names=["place"]).dropna()
    return table.where(table >= 1, 1 / table).rename("factor").reset_index()


def by_effect(table: pd.DataFrame, dataset: str = "mnist", bottleneck: int = 9) -> pd.DataFrame:
    """One row a place, the largest effect first.

    Args:
        table: as ``factors`` returns.
        dataset: of the effect that is shown beside the largest.
        bottleneck: likewise.

    Returns:
        Index place; columns changes, largest (a factor), where, usual (the factor at ``dataset``
        and ``bottleneck``; NaN: not measured there).
    """
    largest = table.loc[table.groupby("place", sort=False)["factor"].idxmax()].set_index("place")
    here = table[(table["dataset"] == dataset) & (table["bottleneck"] == bottleneck)]
    where = [
        f"{data_words(row.dataset)}, {row.bottleneck}" for row in largest.itertuples(index=False)
    ]
    found = pd.DataFrame(
        {
            "changes": pd.Series(PLACES),
            "largest": largest["factor"],
            "where": pd.Series(where, largest.index),
            "usual": here.set_index("place")["factor"],
        }
    )
    return found.sort_values("largest", ascending=False).rename_axis("place")
