"""KANs against other models, on every measure of interpretability that can be compared."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.frames import SETTINGS
from kanlib.experiments.run import Run
from kanlib.interpretability.analysis import Analysis
from kanlib.interpretability.tables import TOLERANCE, least_kept, numbers
from kanlib.models.registry import MODELS
from kanlib.report import statistics
from kanlib.report.labels import labelled

# Model, and whether it has as many parameters as the KAN.
RIVALS = (("mlp", True), ("spline-mlp", True), ("conv", False))
Seeds = Mapping[int, Analysis]  # of one configuration
_SETTINGS = [f"{who}_{name}" for who in ("kan", "rival") for name in SETTINGS]


@dataclass(frozen=True)
class Measure:
    """What is compared.

    Attributes:
        about: "error", "edges" or "code"; the last two are what interpretability is about.
        title: what readers are told that it asks; for the test error, its name.
        larger_is_better: else smaller is.
    """

    about: str
    title: str
    larger_is_better: bool


# CKA is not among them: its pairs share seeds, so it has no interval over seeds.
MEASURES: dict[str, Measure] = {
    "test_mse": Measure("error", "test error", False),
    "gini": Measure("edges", "few edges matter most", True),
    "weights": Measure("edges", "few weights are enough", False),
    "probe": Measure("code", "a linear classifier reads the code", True),
    "information": Measure("code", "a number of the code tells the class", True),
    "information_most": Measure("code", "its best number tells the class", True),
}


def compare(analyses: Sequence[Analysis], common: Mapping[str, Any] = {}) -> pd.DataFrame:
    """Every KAN against every rival at its data set and code size, on each of ``MEASURES``.

    The verdict is that of the 95 % interval of the mean difference (Student's t), one at a time.
    Weights are compared at one error, 10 % above that of the worse model of a pair: a model that
    reconstructs badly needs few weights to go on doing so.

    Args:
        analyses: of KANs, and of models that are among ``RIVALS``; others do not matter.
        common: parameters that labels need not name, see ``kanlib.report.labels.label``.

    Returns:
        One row a KAN, rival and measure. Columns: dataset, bottleneck; kan and rival (labels);
        about; measure; kan_value, rival_value, difference (kan - rival), low, high; pairs (common
        seeds); verdict on the KAN: as ``kanlib.report.statistics.compare`` has it, or "not
        measured" (one of the two has no such measure), or "no rival" (it was not analysed);
        kan_<setting> and rival_<setting>, for each setting of the two.

    Raises:
        ValueError: there is no KAN; or two models have one label, see ``labelled``.
    """
    groups = _by_configuration(analyses)
    kans = [run for run in groups if MODELS[run.model].on_edges]
    if not kans:
        raise ValueError(f"analyses: {len(analyses)}, of no KAN; there must be one to compare")
    pairs = [(kan, rival) for kan in kans for rival in _rivals(kan, groups)]
    runs = list(dict.fromkeys(run for pair in pairs for run in pair))
    named = labelled(pd.DataFrame([run.model_dump() for run in runs]), common)
    names = dict(zip(runs, named["label"], strict=True))
    rows = [
        {"dataset": kan.dataset, "bottleneck": kan.bottleneck}
        | {"kan": names[kan], "rival": names[rival]}
        | _row(measure, groups[kan], groups.get(rival, {}))
        | {f"kan_{name}": getattr(kan, name) for name in SETTINGS}
        | {f"rival_{name}": getattr(rival, name) for name in SETTINGS}
        for kan, rival in pairs
        for measure in MEASURES
    ]
    return pd.DataFrame(rows)


def _by_configuration(analyses: Sequence[Analysis]) -> dict[Run, dict[int, Analysis]]:
    """Run with seed 0 -> seed -> analysis."""
    groups: dict[Run, dict[int, Analysis]] = {}
    for analysis in analyses:
        configuration = analysis.run.model_copy(update={"seed": 0})
        groups.setdefault(configuration, {})[analysis.run.seed] = analysis
    return groups


def _rivals(kan: Run, configurations: Mapping[Run, Seeds]) -> Iterator[Run]:
    """What a KAN is held against; a rival that was not analysed is as its defaults are."""
    for model, matched in RIVALS:
        wanted = {"dataset": kan.dataset, "bottleneck": kan.bottleneck}
        wanted |= {"model": model, "match_parameters": matched}
        found = [run for run in configurations if run.model_dump(include={*wanted}) == wanted]
        yield from found or [Run(**wanted)]


def _row(measure: str, kan: Seeds, rival: Seeds) -> dict[str, Any]:
    """One comparison of two configurations."""
    seeds = sorted(kan.keys() & rival.keys())
    found = statistics.compare(
        pd.Series([_value(measure, kan[seed], rival[seed]) for seed in seeds], seeds, float),
        pd.Series([_value(measure, rival[seed], kan[seed]) for seed in seeds], seeds, float),
        larger_is_better=MEASURES[measure].larger_is_better,
    )
    verdict: str = found.verdict
    if found.pairs == 0:
        verdict = "not measured" if seeds else verdict if rival else "no rival"
    return {
        "about": MEASURES[measure].about,
        "measure": measure,
        "kan_value": found.first,
        "rival_value": found.second,
        "difference": found.difference,
        "low": found.low,
        "high": found.high,
        "pairs": found.pairs,
        "verdict": verdict,
    }


def _value(measure: str, own: Analysis, other: Analysis) -> float:
    """What one model has of a measure, beside another one; NaN: nothing."""
    if measure != "weights":
        return numbers(own)[measure]
    if not own.pruning:
        return np.nan
    error = TOLERANCE * max(own.test_mse, other.test_mse)
    return least_kept(own.pruning["spread"], error, "numbers")


def verdicts(comparisons: pd.DataFrame) -> pd.DataFrame:
    """One row a pair: is the KAN's reconstruction, are its edges, is its code better?

    Args:
        comparisons: what ``compare`` returns.

    Returns:
        The columns of ``compare`` that say which pair it is. error: the verdict on it. edges, code,
        and interpretability (edges and code together): how many measures have which verdict, as
        "1 better, 4 undecided", or "not compared". better, worse, undecided, not_compared: the
        numbers behind interpretability. kan_<setting> and rival_<setting>.
    """
    groups = {"edges": ["edges"], "code": ["code"], "interpretability": ["edges", "code"]}
    keys = ["dataset", "bottleneck", "kan", "rival", *_SETTINGS]
    rows: list[dict[str, Any]] = []
    pairs: Any = comparisons.groupby(keys, sort=False, dropna=False)
    for values, pair in pairs:
        row: dict[str, Any] = dict(zip(keys, values, strict=True))
        settings = {name: row.pop(name) for name in _SETTINGS}
        found = pair["verdict"].where(pair["verdict"].isin(_VERDICTS), _NONE)
        error = pair["about"] == "error"
        row["error"] = found[error].item()
        row |= {k: _in_words(found[pair["about"].isin(about)]) for k, about in groups.items()}
        counts = Counter(found[~error])
        row |= {word.replace(" ", "_"): counts[word] for word in (*_VERDICTS, _NONE)}
        rows.append(row | settings)
    return pd.DataFrame(rows)


_VERDICTS = ("better", "worse", "undecided")  # without a margin nothing is level
_NONE = "not compared"


def _in_words(verdicts: pd.Series) -> str:
    """How many measures have which verdict; those that were not compared are left out."""
    counts = Counter(verdicts)
    found = [f"{counts[word]} {word}" for word in _VERDICTS if counts[word]]
    return ", ".join(found) or _NONE
