"""What a figure shows, as one sentence that is read off its table."""

import pandas as pd

from kanlib.models.registry import MODELS
from kanlib.report.labels import data_words

REPRODUCED = 0.05  # a curve within this share of the published one is the same


def errors(summary: pd.DataFrame, paper: pd.DataFrame | None = None) -> str:
    """Of test errors: does the published curve reproduce, and who beats PCA?

    Args:
        summary: one data set; columns label, dataset, bottleneck, test_mse.
        paper: columns bottleneck, test_mse: the published curve, if there is one.

    Returns:
        "MNIST: only pure KAN and the same-size MLP beat PCA"; "" where there is nothing to say.
    """
    table = _by_label(summary, "test_mse")
    said = _beats_pca(table)
    if paper is not None and table.index.isin(paper["bottleneck"]).all():
        curve = paper.set_index("bottleneck")["test_mse"].loc[table.index]
        off = table.drop(columns=_pca(), errors="ignore").div(curve, axis=0).sub(1)
        nearest = off.abs().max().min()
        above = _pca() in table and bool((table[_pca()] < curve).all())
        if nearest <= REPRODUCED:
            said = "the published curve reproduces" + above * ", and lies above PCA"
        elif above and off.min().min() > 0:
            said = "KANs lie above the published curve, PCA below"
    return _of(summary, said)


def accuracies(summary: pd.DataFrame) -> str:
    """Of accuracies: whose codes classify better than PCA's?

    Args:
        summary: one data set; columns label, dataset, bottleneck, knn_accuracy.

    Returns:
        As ``errors``.
    """
    return _of(summary, _beats_pca(-_by_label(summary, "knn_accuracy")))


def _by_label(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    table = summary.pivot(index="bottleneck", columns="label", values=metric)
    return table[summary["label"].unique()]


def _pca() -> str:
    return MODELS["pca"].label


def _of(summary: pd.DataFrame, said: str) -> str:
    return f"{data_words(summary['dataset'].iloc[0])}: {said}" if said else ""


def _beats_pca(table: pd.DataFrame) -> str:
    """Which columns are below that of PCA: everywhere, or nowhere."""
    if _pca() not in table or table.shape[1] < 2:
        return ""
    others = table.drop(columns=_pca())
    below = others.lt(table[_pca()], axis=0)
    known = others.notna()
    winners = [name for name in others if below[name][known[name]].all()]
    if not below.to_numpy().any():
        return "no model beats PCA"
    if not winners:
        return "no model beats PCA at every code size"
    if len(winners) == others.shape[1]:
        return "every model beats PCA"
    rest = below.drop(columns=winners).to_numpy().any()
    verb = "beats" if len(winners) == 1 else "beat"
    names = " and ".join(", ".join(map(_short, winners)).rsplit(", ", 1))
    return f"{names} {verb} PCA at every code size" if rest else f"only {names} {verb} PCA"


def _short(label: str) -> str:
    """Without a comma: the same-size MLP."""
    name, comma, rest = label.partition(", same size")
    return f"the same-size {name}{rest}" if comma else label
