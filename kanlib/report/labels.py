"""What readers are told: names of models, words for columns. Made last, and never parsed."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kanlib.experiments.run import Run
from kanlib.models.registry import MODELS
from kanlib.report.columns import CONFIGURATION, configuration, configurations

# Column -> what tables and figures call it. Parameters of a run have their own titles.
WORDS = {
    "bottleneck": "code size",
    "dataset": "data",
    "label": "model",
    "test_mse": "test error",
    "test_relative_error": "error relative to zeros",
    "test_cosine": "cosine to the original",
    "test_recall": "recall at 5",
    "test_mse_gaussian": "error from Gaussian noise",
    "test_mse_salt_pepper": "error from salt and pepper",
    "unit_mse": "test error, pixels from 0 to 1",
    "test_mse_min": "least test error",
    "test_mse_max": "largest test error",
    "knn_accuracy": "3-NN accuracy",
    "knn_f1": "3-NN F1",
    "knn_error": "3-NN error",
    "knn_cosine_accuracy": "5-NN accuracy by angle",
    "knn_cosine_f1": "5-NN F1 by angle",
    "leaky_knn_code_accuracy": "leaky 3-NN accuracy, code",
    "leaky_knn_code_f1": "leaky 3-NN F1, code",
    "leaky_knn_reconstruction_accuracy": "leaky 3-NN accuracy, images",
    "leaky_knn_reconstruction_f1": "leaky 3-NN F1, images",
    "leak": "leaky - sound accuracy",
    "seconds": "training (s)",
    "peak_mib": "peak memory (MiB)",
    "multiply_adds": "multiply-adds an image",
    "training_mib": "training memory (MiB)",
    "step_ms": "training step (ms)",
    "relative_width": "width / code",
    "image_us": "time an image (µs)",
    "train_loss": "training error",
    "test_loss": "test error",
    "validation_loss": "validation error",
    "validation_mse": "validation error",
    "loss": "training error",
    "cv": "s.d. / mean",
    "gradient_p99": "gradient norm, 99th percentile",
    "gradient_median": "gradient norm, median",
    "dead_before_code": "dead units before the code",
    "dead_after_code": "dead units after the code",
    "outside_before": "beyond splines, before",
    "outside_after": "beyond splines, after",
    "inside_after": "on the grid, after",
    "kan": "KAN",
    "kan_value": "KAN's value",
    "rival_value": "rival's value",
    "low": "95% from",
    "high": "95% to",
    "paired_over": "paired over",
}
# Parameter and value -> what readers are told, where name and value are no words together.
PHRASES = {
    ("base", "zero"): "no base function",
    ("refine", "finer"): "grid refined halfway",
    ("refine", "longer"): "grid lengthened halfway",
    ("update_grid", "range"): "range follows the data",
    ("update_grid", "knots"): "knots follow the data",
    ("measured_on", "validation"): "measured on the validation split",
}

# Data set -> what readers are told that it is.
DATASETS = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "svhn": "SVHN",
    "svhn-test10k": "10,000 digits of SVHN",
    "20newsgroups": "20 newsgroups",
}


def data_words(dataset: str) -> str:
    """What readers are told that a data set is."""
    return DATASETS.get(dataset, dataset)


def words(column: str) -> str:
    """What readers are told that a column, metric or parameter is: "test_mse" -> "test error"."""
    if column in WORDS:
        return WORDS[column]
    if column in Run.model_fields:
        return Run.model_fields[column].title or column.replace("_", " ")
    if column.endswith("_sd"):
        return f"{words(column.removesuffix('_sd'))}, s.d."
    return column.replace("_", " ")


def setting(name: str, value: Any) -> str:
    """A parameter of a run and its value in words: "hidden width 32", "no separate scale"."""
    if (name, value) in PHRASES:
        return PHRASES[name, value]
    if name == "basis_options":
        return ", ".join(setting(*option) for option in value)
    if isinstance(value, bool):
        return words(name) if value else f"no {words(name)}"
    return f"{words(name)} {value}"


def label(settings: Mapping[Any, Any], common: Mapping[str, Any] = {}) -> str:
    """What tables and figures call a model, from its parameters alone: "CNN, same size".

    Args:
        settings: parameters of ``kanlib.experiments.Run``, or a row that has them as columns; what
            is missing is the default. Data set, code size and seed are not named.
        common: parameters of all runs of an experiment, which its caption states; they are not
            named. A parameter with a list of values is no common one.

    Raises:
        ValueError: a parameter is out of range or has no meaning for the model.
    """
    run = configuration(settings)
    changes = run.changes()
    name = MODELS[run.model].label
    if changes.pop("match_parameters", False):
        name += ", same size"
    if run.preset == "authors":
        name += " (authors' rate)"
    own = [key for key, value in changes.items() if key not in common or common[key] != value]
    return ", ".join([name, *(setting(key, changes[key]) for key in own)])


def labelled(table: pd.DataFrame, common: Mapping[str, Any] = {}) -> pd.DataFrame:
    """``table`` with a first column ``label``.

    Args:
        table: one or more rows a configuration; parameters of ``Run`` are columns.
        common: see ``label``.

    Raises:
        ValueError: two different configurations at one data set and code size have one label,
            since ``common`` has a parameter in which they differ; or see ``label``.
    """
    runs = configurations(table)
    names = [label(run.model_dump(), common) for run in runs]
    named: dict[tuple[str, str, int], Run] = {}
    for name, run in zip(names, runs, strict=True):
        other = named.setdefault((name, run.dataset, run.bottleneck), run)
        if other != run:
            differ = [key for key in CONFIGURATION if getattr(run, key) != getattr(other, key)]
            raise ValueError(
                f"common={dict(common)!r}: two models are both {name!r}, and differ in "
                f"{', '.join(differ)}, which must not be in common"
            )
    rest = table.drop(columns="label", errors="ignore")
    rest.insert(0, "label", names)
    return rest
