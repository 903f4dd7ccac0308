"""The paper's claims, each compared with a rival over seeds: better, level, worse, or undecided.

The claims are those of arXiv 2410.02077 in their own sense. The rivals are its CNN, a CNN and an
MLP of the same size as its KAN, PCA, and a linear autoencoder that is trained as the KAN is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.frames import SETTINGS
from kanlib.experiments.run import Run
from kanlib.models.registry import MODELS
from kanlib.report import statistics
from kanlib.report.columns import by_configuration
from kanlib.report.labels import label

CLAIMS = {
    "reconstruction": "AE-KAN reconstructs as well as AE-CNN, or better",
    "accuracy": "nearest neighbours classify what AE-KAN makes of an image as well, or better",
    "parameters": "AE-KAN is worth its many parameters",
    "linear baseline": "(not in the paper) AE-KAN beats a linear autoencoder, fitted or trained",
    "training time": "AE-KAN trains as fast, or faster",
}
BETTER_ALONE = ("parameters", "linear baseline")  # claims that a model as good would not support
# Differences that do not matter: the share of the rival's error or time, the points of accuracy.
MARGIN, ACCURACY_MARGIN = 0.02, 0.005
LARGEST_SMALL = 64  # the paper's small codes have 4 to 64 numbers, its tuned ones 150 and 500
# A rival is trained as the KAN is; whatever else can be set is the default.
_TRAINING = ("learning_rate", "weight_decay", "epochs", "batch_size", "decay")
_FITTED = "pca"  # not trained: one run stands for all seeds


@dataclass(frozen=True)
class Question:
    """One way to test a claim.

    Attributes:
        claim: key of ``CLAIMS``.
        protocol: "paper" (the way of the authors' code), "sound", or "both", where they agree.
        metric: of the KAN, a column of the records.
        rival: name of the model that it is held against.
        same_size: the rival has as many parameters as the KAN.
        rival_metric: the rival's, where the paper measures the two differently.
    """

    claim: str
    protocol: str
    metric: str
    rival: str
    same_size: bool = False
    rival_metric: str | None = None

    def opponent(self, kan: Run) -> Run:
        """The run that a KAN's is held against."""
        if self.rival == _FITTED:
            return Run(model=_FITTED, dataset=kan.dataset, bottleneck=kan.bottleneck)
        equal = (*_TRAINING, "separate_scale") if self.same_size else _TRAINING
        return Run(
            dataset=kan.dataset,
            bottleneck=kan.bottleneck,
            model=self.rival,
            match_parameters=self.same_size,
            **{name: getattr(kan, name) for name in equal},
        )


_LEAKY = ("leaky_knn_reconstruction_accuracy", "leaky_knn_code_accuracy")
QUESTIONS = (
    Question("reconstruction", "both", "test_mse", "conv"),
    Question("accuracy", "paper", _LEAKY[0], "conv", rival_metric=_LEAKY[1]),
    Question("accuracy", "sound", "knn_accuracy", "conv"),
    Question("parameters", "both", "test_mse", "conv", same_size=True),
    Question("parameters", "both", "test_mse", "mlp", same_size=True),
    Question("parameters", "sound", "knn_accuracy", "conv", same_size=True),
    Question("parameters", "sound", "knn_accuracy", "mlp", same_size=True),
    Question("linear baseline", "both", "test_mse", "pca"),
    Question("linear baseline", "sound", "knn_accuracy", "pca"),
    Question("linear baseline", "both", "test_mse", "linear"),
    Question("linear baseline", "sound", "knn_accuracy", "linear"),
    Question("training time", "both", "step_ms", "conv"),
    Question("training time", "both", "step_ms", "conv", same_size=True),
    Question("training time", "both", "step_ms", "mlp", same_size=True),
)
_KAN = [f"kan_{name}" for name in SETTINGS]
_NAMES = ["claim", "protocol", "metric", "dataset", "kan", "rival"]
_NUMBERS = ["kan_value", "rival_value", "difference", "low", "high", "pairs"]
_MODELS = [*_KAN, "rival_model", "rival_match_parameters"]
_NOT_COMPARED = ("no rival", "no common seed")


def compare(frame: pd.DataFrame, common: Mapping[str, Any] = {}) -> pd.DataFrame:
    """Every KAN against every rival on the same data at the same code size.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns; or ``timing.training_steps``, which has
            rounds in the place of seeds. A metric that it lacks is not compared.
        common: what labels do not name, see ``kanlib.report.labels.label``.

    Returns:
        One row a comparison: claim, protocol, metric, dataset, bottleneck, kan and rival (labels),
        kan_value and rival_value (means over what is paired), difference (KAN - rival, mean), low
        and high (95%, Student's t), pairs, paired_over ("seed" or "round"), verdict on the KAN
        ("level": within ``MARGIN`` of the rival's mean, or ``ACCURACY_MARGIN``; see
        ``statistics.Comparison``; "no rival": none was run, its numbers are NaN), kan_<setting> for
        each setting of the KAN, rival_model, rival_match_parameters.
    """
    over = "round" if "round" in frame else "seed"
    models = {_key(run): rows.set_index(over) for run, rows in by_configuration(frame).items()}
    rows = []
    for place in dict.fromkeys((run.dataset, run.bottleneck) for run in models):
        here = [run for run in models if (run.dataset, run.bottleneck) == place]
        kans = [run for run in here if MODELS[run.model].on_edges]
        for question in QUESTIONS:
            for kan in kans if question.metric in frame else ():
                rival = question.opponent(kan)
                found = _compare(question, models[kan], models.get(rival))
                names = label(kan.model_dump(), common), label(rival.model_dump(), common)
                rows.append(_row(question, kan, names) | found | {"paired_over": over})
    columns = [*_NAMES[:4], "bottleneck", *_NAMES[4:], *_NUMBERS, "paired_over", "verdict"]
    order = pd.CategoricalDtype(list(CLAIMS), ordered=True)
    table = pd.DataFrame(rows, columns=[*columns, *_MODELS]).astype({"claim": order})
    return table.sort_values("claim", kind="stable", ignore_index=True).astype({"claim": str})


def _key(run: Run) -> Run:
    """What its rival finds a run by: what is fitted is the same however others are trained."""
    place = {"dataset": run.dataset, "bottleneck": run.bottleneck}
    return Run(model=_FITTED, **place) if run.model == _FITTED else run


def _compare(question: Question, kan: Any, rival: Any) -> dict[str, Any]:
    """Numbers and verdict of two models' rows, by seed or round; None: there is no rival."""
    if rival is None:
        return dict.fromkeys(_NUMBERS, np.nan) | {"pairs": 0, "verdict": "no rival"}
    ours = kan[question.metric]
    theirs = rival[question.rival_metric or question.metric]
    if question.rival == _FITTED:
        theirs = pd.Series(theirs.iloc[0], index=ours.index)
    accuracy = question.metric.endswith("accuracy")
    margin = ACCURACY_MARGIN if accuracy else MARGIN * theirs.mean()
    found = statistics.compare(ours, theirs, larger_is_better=accuracy, margin=margin)
    numbers = (found.first, found.second, found.difference, found.low, found.high, found.pairs)
    return dict(zip(_NUMBERS, numbers, strict=True)) | {"verdict": found.verdict}


def _row(question: Question, kan: Run, names: tuple[str, str]) -> dict[str, Any]:
    """What a comparison is of."""
    return {
        "claim": question.claim,
        "protocol": question.protocol,
        "metric": question.metric,
        "dataset": kan.dataset,
        "bottleneck": kan.bottleneck,
        **dict(zip(("kan", "rival"), names, strict=True)),
        **{f"kan_{name}": getattr(kan, name) for name in SETTINGS},
        "rival_model": question.rival,
        "rival_match_parameters": question.same_size,
    }


def scoreboard(comparisons: pd.DataFrame, metric: str = "test_mse") -> pd.DataFrame:
    """At how many data sets and code sizes a KAN is better than a rival.

    Args:
        comparisons: as ``compare`` returns. KANs trained at the authors' rate are left out: they
            are another training of the same model, on one data set.
        metric: column of the records that is compared.

    Returns:
        Index rival, a column a KAN (labels): "9 better, 2 worse, 1 undecided". Where there was no
        rival, nothing is counted.
    """
    asked: Any = comparisons[
        (comparisons["metric"] == metric) & (comparisons["kan_preset"] == "paper")
    ]
    words = ("better", "level", "worse", "undecided")

    def counted(verdicts: pd.Series) -> str:
        """Verdicts as words, those that occur."""
        counts = {word: int((verdicts == word).sum()) for word in words}
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count)

    table = asked.groupby(["rival", "kan"], sort=False)["verdict"].agg(counted).unstack()
    return table.loc[asked["rival"].unique(), asked["kan"].unique()].rename_axis(columns=None)


def summarise(comparisons: pd.DataFrame) -> pd.DataFrame:
    """What all comparisons of a claim come to, at small and at tuned codes.

    A claim to be as good, or better, is supported where the KAN is better or level; a claim to be
    better (``BETTER_ALONE``) where it is better.

    Args:
        comparisons: as ``compare`` returns.

    Returns:
        One row for each claim, protocol, metric, dataset, KAN, rival and size of the code ("small"
        or "tuned"): their columns, with the counts better, level, worse, undecided and not_compared
        (no rival, or no common seed), and a verdict on the claim: "holds" (supported everywhere),
        "not refuted" (supported somewhere, the rest undecided), "does not hold" (contradicted
        everywhere), "not supported" (contradicted somewhere, the rest undecided), "undecided"
        (everywhere), "in part", or "not compared". What was not compared is left out of a verdict
        on the rest.
    """
    keys = [*_NAMES, "size", *_MODELS]
    counts = {
        word: comparisons["verdict"] == word for word in ("better", "level", "worse", "undecided")
    }
    counts["not_compared"] = comparisons["verdict"].isin(_NOT_COMPARED)
    size = np.where(comparisons["bottleneck"] <= LARGEST_SMALL, "small", "tuned")
    groups: Any = comparisons.assign(size=size, **counts).groupby(keys, dropna=False, sort=False)
    table = groups[list(counts)].sum().reset_index()
    strict = table["claim"].isin(BETTER_ALONE)
    support = table["better"] + np.where(strict, 0, table["level"])
    against = table["worse"] + np.where(strict, table["level"], 0)
    found = zip(support, against, table["undecided"], strict=True)
    table["verdict"] = [_overall(*row) for row in found]
    return table[[*_NAMES, "size", *counts, "verdict", *_MODELS]]


def _overall(support: int, against: int, undecided: int) -> str:
    if support and against:
        return "in part"
    if support:
        return "not refuted" if undecided else "holds"
    if against:
        return "not supported" if undecided else "does not hold"
    return "undecided" if undecided else "not compared"
