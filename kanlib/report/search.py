"""A search, and the league of its winners.

An arm is a model with all that describes it. Its tries differ in how it is trained: each arm has as
many, and the validation error chooses among them. Some winners are then trained anew, on the whole
training split, with several seeds, and only those are tested.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import torch

from kanlib.models.autoencoder import Shape
from kanlib.models.registry import MODELS
from kanlib.nn import SharedFunctions
from kanlib.report import statistics
from kanlib.report.claims import MARGIN
from kanlib.report.columns import by_configuration, configurations
from kanlib.report.labels import labelled

TRIED = ("learning_rate",)
ERROR = "validation_mse"
# How the test of an arm differs from its tries.
_TESTED = {"validation": None, "measured_on": "test", "tasks": False}
KANS = tuple(name for name in MODELS if name.startswith("kan"))
CONV_KANS = tuple(name for name in KANS if name.endswith("conv"))
DENSE_KANS = tuple(name for name in KANS if name not in CONV_KANS)
# What a KAN is held against: name -> models, of which the one with the least validation error.
RIVALS: dict[str, tuple[str, ...]] = {
    "MLP": ("mlp",),
    "CNN": ("conv", "cnn-dense"),
    "linear": ("linear",),
    "PCA": ("pca", "lsa"),
}


def named(frame: pd.DataFrame, common: Mapping[str, Any] = {}) -> pd.DataFrame:
    """``frame`` with a first column ``label`` that names the arm of each row, and no rate.

    Args:
        frame: of a search, or of its league.
        common: see ``kanlib.report.labels.label``.
    """
    tried = {name: frame[name] for name in TRIED}
    return labelled(frame.assign(**dict.fromkeys(TRIED)), common).assign(**tried)


def arms(frame: pd.DataFrame) -> pd.Series:
    """Which arm each row is of: its run without what was tried, as text."""
    runs = (run.model_copy(update=dict.fromkeys(TRIED)) for run in configurations(frame))
    return pd.Series([run.model_dump_json() for run in runs], index=frame.index)


def best(frame: pd.DataFrame) -> pd.DataFrame:
    """The try of each arm with the least validation error.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns, of runs measured on a validation split.

    Returns:
        One row an arm, from the least error to the largest, with the columns of ``frame`` and
        ``tries``, their number.

    Raises:
        ValueError: the arms did not get the same number of tries.
    """
    groups = frame.groupby(arms(frame), sort=False)
    counts: Any = groups.size()
    if counts.nunique() > 1:
        raise ValueError(f"tries of the arms: {sorted(set(counts))}; all must have as many")
    rows = frame.loc[groups[ERROR].idxmin()].assign(tries=counts.iloc[0])
    return rows.sort_values(ERROR, ignore_index=True)


def league(chosen: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """The test runs of a league, each with the validation error that its arm was chosen by.

    Args:
        chosen: as ``best`` returns, of one search.
        tested: as ``kanlib.experiments.to_frame`` returns: the best tries of some arms, trained on
            the whole training split; and PCA, which is fitted and needs no search.

    Returns:
        ``tested`` with the column validation_mse (NaN: PCA), from the least to the largest.

    Raises:
        ValueError: a run is not the best try of an arm.
    """
    errors = dict(zip(configurations(chosen.assign(**_TESTED)), chosen[ERROR], strict=True))
    found = []
    for run in configurations(tested.assign(**_TESTED)):
        if run not in errors and run.model not in RIVALS["PCA"]:
            raise ValueError(f"{run} is not the best try of an arm")
        found.append(errors.get(run))
    return tested.assign(**{ERROR: pd.Series(found, tested.index, dtype=float)}).sort_values(
        ERROR, kind="stable", ignore_index=True
    )


def verdicts(cells: Mapping[str, pd.DataFrame], metric: str = "test_mse") -> pd.DataFrame:
    """The best KAN of each cell against the best rival of each kind, both chosen by validation.

    Convolutional KANs meet the CNNs, and all other KANs the rest: what differs is the function.

    Args:
        cells: what readers are told that a cell is -> as ``league`` returns, with labels.
        metric: column; less is better.

    Returns:
        One row a comparison: cell; kan and rival (labels); against (a key of ``RIVALS``);
        kan_value, rival_value (means over common seeds); difference, low and high (95%), as
        fractions of rival_value; pairs; verdict on the KAN ("level": within 2%).
    """
    rows = []
    for cell, frame in cells.items():
        for against, models in RIVALS.items():
            kan = _first(frame, CONV_KANS if against == "CNN" else DENSE_KANS)
            rival = _first(frame, models)
            if kan.empty or rival.empty:
                continue
            ours: Any = kan.set_index("seed")[metric]
            theirs: Any = rival.set_index("seed")[metric]
            if against == "PCA":  # fitted: one run stands for all seeds
                theirs = pd.Series(theirs.iloc[0], index=ours.index)
            found = statistics.compare(ours, theirs, margin=MARGIN * theirs.mean())
            shares = {n: getattr(found, n) / found.second for n in ("difference", "low", "high")}
            rows.append(
                {"cell": cell, "kan": kan["label"].iloc[0], "rival": rival["label"].iloc[0]}
                | {"against": against, "kan_value": found.first, "rival_value": found.second}
                | shares
                | {"pairs": found.pairs, "verdict": found.verdict}
            )
    return pd.DataFrame(rows)


def relative_width(frame: pd.DataFrame, shape: Shape) -> float:
    """Hidden nodes of the best dense KAN, for each number of its code; NaN if there is no such KAN.

    Args:
        frame: as ``league`` returns, whose best dense KAN has functions on its hidden nodes alone.
        shape: (C, H, W) of the images.
    """
    best = _first(frame, DENSE_KANS)
    if best.empty:
        return math.nan
    run = configurations(best)[0]
    with torch.device("meta"):  # shapes only
        parts = run.build_model(shape).modules()
    return next(p.features for p in parts if isinstance(p, SharedFunctions)) / run.bottleneck


def _first(frame: pd.DataFrame, models: Sequence[str]) -> pd.DataFrame:
    """The runs of the first arm that is one of ``models``, or none."""
    groups = by_configuration(frame).items()
    return next((rows for run, rows in groups if run.model in models), frame.iloc[:0])
