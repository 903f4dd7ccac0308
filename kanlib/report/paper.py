"""The paper's results one by one: what it reports, what we found, and whether it holds."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from kanlib.report import audit
from kanlib.report.claims import LARGEST_SMALL
from kanlib.report.labels import data_words

HOLDS, IN_PART, FAILS = "holds", "holds in part", "does not hold"
UNKNOWN = "cannot be known"
REPRODUCED = 0.05  # a curve nowhere further than this from the published one is the same
_PART = "svhn-test10k"  # of a data set; the paper has all of it
# The networks at a code size of 9 on MNIST: each layer, and how many numbers it gives.
_CONVOLUTIONS = [("convolution", 1568), ("convolution", 196), ("convolution", 9)]
ARCHITECTURES = {
    "AE-KAN": [("", 784), ("KAN", 9), ("dense", 9), ("dense", 9), ("KAN", 784)],
    "pure KAN": [("", 784), ("KAN", 9), ("KAN", 784)],
    "CNN": [
        *[("", 784), *_CONVOLUTIONS],
        *[("convolution", 196), ("convolution", 1568), ("convolution", 784)],
    ],
}


def as_in_code(comparisons: pd.DataFrame) -> Any:
    """The comparisons of the KANs that the authors' code trains.

    For MNIST that is AE-KAN at their rate, for all other data pure KAN.

    Args:
        comparisons: as ``kanlib.report.claims.compare`` returns.
    """
    on_mnist = comparisons["dataset"] == "mnist"
    theirs = (comparisons["kan_model"] == "kan") & (comparisons["kan_preset"] == "authors")
    pure = comparisons["kan_model"] == "kan-pure"
    return comparisons[(on_mnist & theirs) | (~on_mnist & pure)]


def overall(verdicts: pd.Series) -> str:
    """What comparisons mean for a claim to be as good, or better.

    Args:
        verdicts: on the KAN, as in ``kanlib.report.claims.compare``; those without a rival are left
            out.

    Returns:
        "holds": contradicted nowhere, and supported by more than half; "holds in part": supported
        and contradicted; "does not hold": contradicted, and supported nowhere; "cannot be known":
        the rest.
    """
    support = int(verdicts.isin(["better", "level"]).sum())
    against, open_ = (int((verdicts == word).sum()) for word in ("worse", "undecided"))
    if against:
        return IN_PART if support else FAILS
    return HOLDS if support > open_ else UNKNOWN


def counted(verdicts: pd.Series) -> str:
    """How often each verdict was found: 8 of 9 better, 1 undecided."""
    words = ("better", "level", "worse", "undecided")
    counts = {word: int((verdicts == word).sum()) for word in words}
    (first, number), *others = [(word, count) for word, count in counts.items() if count]
    rest = [f"{count} {word}" for word, count in others]
    return ", ".join([f"{number} of {sum(counts.values())} {first}", *rest])


def small_codes(comparisons: pd.DataFrame, claim: str, protocol: str) -> Any:
    """Of a claim about the paper's CNN at its small codes, measured in one way.

    Args:
        comparisons: as ``as_in_code`` returns.
        claim: key of ``kanlib.report.claims.CLAIMS``.
        protocol: "paper", "sound" or "both".
    """
    small = comparisons["bottleneck"] <= LARGEST_SMALL
    asked = (comparisons["claim"] == claim) & (comparisons["protocol"] == protocol)
    return comparisons[small & asked]


def errors_of_small_codes(comparisons: pd.DataFrame) -> pd.DataFrame:
    """For readers: the KAN of the authors' code against their CNN, a row a data set and size.

    Args:
        comparisons: as ``as_in_code`` returns.

    Returns:
        Index verdict; columns data, code size, the KAN's and the CNN's test error.
    """
    rows = small_codes(comparisons, "reconstruction", "both")
    return pd.DataFrame(
        {
            "verdict": rows["verdict"],
            "data": rows["dataset"].map(data_words),
            "code size": rows["bottleneck"],
            "the KAN's test error": rows["kan_value"],
            "the CNN's": rows["rival_value"],
        }
    ).set_index("verdict")


def accuracies_of_small_codes(comparisons: pd.DataFrame) -> pd.DataFrame:
    """For readers: the same of accuracies, measured soundly, and in the paper's way.

    Args:
        comparisons: as ``as_in_code`` returns.

    Returns:
        Index verdict, measured soundly; columns verdict in the paper's way, data, code size, and
        the KAN's accuracy less the CNN's, measured soundly.
    """
    sound, theirs = (
        small_codes(comparisons, "accuracy", way).set_index(["dataset", "bottleneck"])
        for way in ("sound", "paper")
    )
    sound["theirs"] = theirs["verdict"]
    rows = sound.reset_index()
    return pd.DataFrame(
        {
            "verdict": rows["verdict"],
            "the paper's way": rows["theirs"],
            "data": rows["dataset"].map(data_words),
            "code size": rows["bottleneck"],
            "accuracy, KAN - CNN": rows["difference"],
        }
    ).set_index("verdict")


def costs(frame: pd.DataFrame, times: pd.DataFrame) -> pd.DataFrame:
    """For readers: what the KAN of the authors' code and their CNN cost on MNIST.

    Args:
        frame: as ``kanlib.experiments.to_frame`` returns.
        times: as ``kanlib.report.timing.training_steps`` returns.

    Returns:
        Index code size; columns parameters by the paper's formula, as built, and of the CNN; a
        training step of both, median, in ms.
    """
    kan = {"dataset": "mnist", "model": "kan", "preset": "authors"}
    cnn = {"dataset": "mnist", "model": "conv", "match_parameters": False}
    built = audit.mean_of(frame, "parameters", **kan).droplevel("dataset").astype(int)
    steps = [
        times[(times[list(who)] == pd.Series(who)).all(axis=1)]
        .groupby("bottleneck")["step_ms"]
        .median()
        for who in (kan, cnn)
    ]
    return pd.DataFrame(
        {
            "by the formula": [audit.parameters_by_formula(784, size) for size in built.index],
            "AE-KAN, built": built,
            "CNN": audit.mean_of(frame, "parameters", **cnn).droplevel("dataset").astype(int),
            "AE-KAN's step, ms": steps[0],
            "CNN's step, ms": steps[1],
        }
    ).rename_axis("code size")


def beside_published(
    curves: Mapping[str, tuple[pd.Series, pd.Series]], pca: Mapping[str, pd.Series]
) -> pd.DataFrame:
    """For readers: the smallest, the middle and the largest code of each curve.

    Args:
        curves: data set -> our curve and the published one, as for ``curve``.
        pca: data set -> test error of PCA by code size.

    Returns:
        Index data; columns code size, published, ours, PCA.
    """
    rows = []
    for dataset, (ours, paper) in curves.items():
        sizes = ours.index
        for size in (sizes[0], sizes[len(sizes) // 2], sizes[-1]):
            known = (paper[size], ours[size], pca[dataset][size])
            rows.append((data_words(dataset), size, *known))
    columns = ["data", "code size", "published", "ours", "PCA"]
    return pd.DataFrame(rows, columns=columns).set_index("data")


def curve(dataset: str, ours: pd.Series, paper: pd.Series) -> dict[str, str]:
    """Does a published curve reproduce?

    Args:
        dataset: name.
        ours: test error of the KAN that the authors' code trains, by code size.
        paper: theirs, at these sizes at least.

    Returns:
        verdict, item, published, ours: a row of ``items``.
    """
    ratio = ours / paper[ours.index]
    off = (ratio - 1).abs().max()
    found = f"within {off:.1%}"
    if off > REPRODUCED:
        found = f"{ratio.min():.1f} to {ratio.max():.1f} times as large"
    if dataset == _PART:
        verdict, found = UNKNOWN, f"{found}, with a part of the data"
    else:
        verdict = HOLDS if off <= REPRODUCED else FAILS
    return {
        "verdict": verdict,
        "item": f"error curve of {data_words(dataset)}, {len(ours)} code sizes",
        "published": f"{paper[ours.index[0]]:.3g} to {paper[ours.index[-1]]:.3g}",
        "ours": found,
    }


def items(
    curves: Mapping[str, tuple[pd.Series, pd.Series]],
    accuracies: Mapping[str, tuple[float, float | None]],
    comparisons: pd.DataFrame,
) -> pd.DataFrame:
    """A verdict on each result of the paper.

    Args:
        curves: data set -> our curve and the published one, as for ``curve``.
        accuracies: data set -> accuracy at a code size of 784, published and ours, both as the
            authors measure it; None: not trained.
        comparisons: as ``as_in_code`` returns, with those of training steps.

    Returns:
        Columns verdict, item, published, ours; all are texts.
    """
    rows = [curve(dataset, *both) for dataset, both in curves.items()]
    errors = small_codes(comparisons, "reconstruction", "both")["verdict"]
    theirs, sound = (
        small_codes(comparisons, "accuracy", way)["verdict"] for way in ("paper", "sound")
    )
    time: Any = comparisons[
        (comparisons["claim"] == "training time")
        & (comparisons["rival_model"] == "conv")
        & ~comparisons["rival_match_parameters"]
    ]["verdict"]
    rows += [
        _row(overall(errors), "less error than the CNN, small codes", "", counted(errors)),
        _row(
            overall(sound),
            "better accuracy than the CNN, small codes",
            "",
            f"{counted(theirs)}; measured soundly, {counted(sound)}",
        ),
    ]
    for dataset, (published, ours) in accuracies.items():
        near = ours is not None and abs(ours - published) < 0.005
        verdict = UNKNOWN if ours is None else HOLDS if near else FAILS
        found = "not trained" if ours is None else f"{ours:.3f}"
        item = f"accuracy on {data_words(dataset)}, code size 784"
        rows.append(_row(verdict, item, f"{published:.3f}", found))
    built = audit.parameter_counts([9])
    formula, true = built["formula"].iloc[0], built["built"].iloc[0]
    item = "parameters of AE-KAN, code size 9"
    rows.append(_row(HOLDS if formula == true else FAILS, item, f"{formula:,}", f"{true:,}"))
    rows.append(_row(overall(time), "a training step as short as the CNN's", "", counted(time)))
    return pd.DataFrame(rows)


def _row(verdict: str, item: str, published: str, ours: str) -> dict[str, str]:
    return {
        "verdict": verdict,
        "item": item,
        "published": published or "values not known",
        "ours": ours,
    }
