"""The paper's claims, each compared with a rival over seeds: better, level, worse, or undecided.

The claims are those of arXiv 2410.02077 in their own sense; the rivals are its CNN, a CNN and an
MLP with as many parameters as its KAN, and PCA.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kanlib.report import statistics

CLAIMS = {
    "reconstruction": "AE-KAN reconstructs as well as AE-CNN, or better",
    "accuracy": "nearest neighbours classify what AE-KAN makes of an image as well, or better",
    "parameters": "AE-KAN is worth its many parameters",
    "linear baseline": "(not in the paper) AE-KAN beats a linear autoencoder, PCA",
    "training time": "AE-KAN trains as fast, or faster",
}
BETTER_ALONE = ("parameters", "linear baseline")  # claims that a model as good would not support
# Differences that do not matter: the share of the rival's error or time, the points of accuracy.
MARGIN, ACCURACY_MARGIN = 0.02, 0.005
LARGEST_SMALL = 64  # the paper's small bottlenecks are 4 to 64, its tuned ones 150 and 500


@dataclass(frozen=True)
class Comparison:
    """One way to test a claim.

    Attributes:
        claim: key of ``CLAIMS``.
        protocol: "paper" (the way of the authors' code), "sound", or "both", where they agree.
        metric: of the KAN, a column of the records.
        rival: label of the model that it is held against.
        rival_metric: the rival's, where the paper measures the two differently.
    """

    claim: str
    protocol: str
    metric: str
    rival: str
    rival_metric: str | None = None


COMPARISONS = (
    Comparison("reconstruction", "both", "test_mse", "CNN"),
    Comparison(
        "accuracy", "paper", "leaky_knn_reconstruction_accuracy", "CNN", "leaky_knn_code_accuracy"
    ),
    Comparison("accuracy", "sound", "knn_accuracy", "CNN"),
    Comparison("parameters", "both", "test_mse", "CNN, matched"),
    Comparison("parameters", "both", "test_mse", "MLP, matched"),
    Comparison("parameters", "sound", "knn_accuracy", "CNN, matched"),
    Comparison("parameters", "sound", "knn_accuracy", "MLP, matched"),
    Comparison("linear baseline", "both", "test_mse", "PCA"),
    Comparison("linear baseline", "sound", "knn_accuracy", "PCA"),
    Comparison("training time", "both", "step_ms", "CNN"),
    Comparison("training time", "both", "step_ms", "CNN, matched"),
    Comparison("training time", "both", "step_ms", "MLP, matched"),
)


def compare(records: pd.DataFrame) -> pd.DataFrame:
    """Every KAN against every rival that was run on the same data at the same bottleneck.

    Args:
        records: as ``kanlib.experiments.load_records`` returns; or
            ``kanlib.experiments.costs.training_steps``, its rounds in a
            column ``seed``. A metric that it lacks is not compared.

    Returns:
        One row a comparison: claim, protocol, metric, dataset, bottleneck, kan and rival (labels),
        kan_value and rival_value (means), difference (mean over the common seeds, KAN - rival),
        low and high (95%, Student's t), bootstrap_low and bootstrap_high (95%), seeds, verdict (of
        the t interval on the KAN: "better"; "level", within ``MARGIN`` of the rival's mean or
        ``ACCURACY_MARGIN``; "worse"; or "undecided").
    """
    rows = []
    places: Any = records[["dataset", "bottleneck"]].drop_duplicates()
    for place in places.to_dict("records"):
        here = records.merge(pd.DataFrame([place]))
        models = {str(label): run.set_index("seed") for label, run in here.groupby("label")}
        kans = [label for label in models if label.startswith("KAN")]
        for comparison in COMPARISONS:
            if comparison.rival in models and comparison.metric in here:
                rival = models[comparison.rival]
                for kan in kans:
                    rows.append(place | {"kan": kan} | _row(comparison, models[kan], rival))
    columns = [
        "claim", "protocol", "metric", "dataset", "bottleneck", "kan", "rival", "kan_value",
        "rival_value", "difference", "low", "high", "bootstrap_low", "bootstrap_high", "seeds",
        "verdict",
    ]  # fmt: skip
    order = pd.CategoricalDtype(list(CLAIMS), ordered=True)
    table = pd.DataFrame(rows, columns=columns).astype({"claim": order})
    return table.sort_values("claim", kind="stable", ignore_index=True).astype({"claim": str})


def _row(comparison: Comparison, kan: Any, rival: Any) -> dict[Any, Any]:
    """One comparison of two models' records, indexed by seed."""
    ours = kan[comparison.metric]
    theirs = rival[comparison.rival_metric or comparison.metric]
    if comparison.rival == "PCA":  # has no seed: the same for all
        theirs = pd.Series(theirs.iloc[0], index=ours.index)
    differences = statistics.paired_differences(ours, theirs)
    interval = statistics.mean_interval(differences)
    bootstrap = statistics.bootstrap_interval(differences)
    accuracy = comparison.metric.endswith("accuracy")
    margin = ACCURACY_MARGIN if accuracy else MARGIN * theirs.mean()
    return {
        "claim": comparison.claim,
        "protocol": comparison.protocol,
        "metric": comparison.metric,
        "rival": comparison.rival,
        "kan_value": ours.mean(),
        "rival_value": theirs.mean(),
        "difference": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "bootstrap_low": bootstrap.low,
        "bootstrap_high": bootstrap.high,
        "seeds": interval.count,
        "verdict": statistics.verdict(interval, larger_is_better=accuracy, margin=margin),
    }


def summarise(comparisons: pd.DataFrame) -> pd.DataFrame:
    """What all comparisons of a claim come to, at small and at tuned bottlenecks.

    A claim to be as good, or better, is supported where the KAN is better or level; a claim to be
    better (``BETTER_ALONE``) where it is better.

    Args:
        comparisons: as ``compare`` returns.

    Returns:
        One row for each claim, protocol, metric, dataset, kan, rival and size ("small" or "tuned"),
        with the counts better, level, worse and undecided, and a verdict on the claim: "holds"
        (supported everywhere), "not refuted" (supported somewhere, the rest undecided), "does not
        hold" (contradicted everywhere), "not supported" (contradicted somewhere, the rest
        undecided), "undecided" (everywhere), or "in part".
    """
    size = np.where(comparisons["bottleneck"] <= LARGEST_SMALL, "small", "tuned")
    keys = ["claim", "protocol", "metric", "dataset", "kan", "rival", "size"]
    groups: Any = comparisons.assign(size=size).groupby([*keys, "verdict"], sort=False)
    counts = (
        groups.size()
        .unstack(fill_value=0)
        .reindex(columns=["better", "level", "worse", "undecided"], fill_value=0)
    )
    strict = counts.index.get_level_values("claim").isin(BETTER_ALONE)
    support = counts["better"] + np.where(strict, 0, counts["level"])
    against = counts["worse"] + np.where(strict, counts["level"], 0)
    rows = zip(support, against, counts["undecided"], strict=True)
    counts["verdict"] = [_overall(*row) for row in rows]
    return counts.rename_axis(columns=None).reset_index()


def _overall(support: int, against: int, undecided: int) -> str:
    if support and against:
        return "in part"
    if support:
        return "not refuted" if undecided else "holds"
    if against:
        return "not supported" if undecided else "does not hold"
    return "undecided"
