"""What a result depends on: settings changed one at a time, or together, around one run."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.frames import to_frame
from kanlib.experiments.record import Record, load_arrays
from kanlib.experiments.run import Run
from kanlib.report import labels, statistics

UNCHANGED = "unchanged"
NOTHING = "–"


def changes(run: Run, base: Run) -> dict[str, Any]:
    """The settings in force in which ``run`` differs from ``base``: name -> its value."""
    ours, theirs = _settings(run), _settings(base)
    return {name: value for name, value in ours.items() if value != theirs[name]}


def effects(records: Sequence[Record], base: Run) -> pd.DataFrame:
    """What each change does to the test error, paired over seeds.

    Args:
        records: those of runs that change nothing must be among them.
        base: the run around which settings are changed; its seed does not matter.

    Returns:
        One row for each set of changes, in order of appearance: setting (names of what was changed,
        "+" between, or UNCHANGED), value (as text), seeds, test_mse, test_mse_sd, difference (to
        the unchanged runs: mean over the seeds in common), low and high (its 95% interval,
        Student's t), verdict (see ``statistics.Comparison``; NOTHING for the unchanged),
        knn_accuracy, parameters.

    Raises:
        ValueError: no run is unchanged.
    """
    described = [_describe(changes(record.run, base)) for record in records]
    named: Any = to_frame(records).assign(_change=described)
    groups: Any = {
        key: rows.set_index("seed") for key, rows in named.groupby("_change", sort=False)
    }
    unchanged = groups.get((UNCHANGED, NOTHING))
    if unchanged is None:
        raise ValueError(f"records: none of the {len(records)} is of base={base!r} at any seed")
    rows = []
    for (setting, value), group in groups.items():
        errors = group["test_mse"]
        row = {"setting": setting, "value": value, "seeds": len(errors)}
        row |= {"test_mse": errors.mean(), "test_mse_sd": errors.std()}
        row |= {"difference": 0.0, "low": np.nan, "high": np.nan, "verdict": NOTHING}
        if setting != UNCHANGED:
            found = statistics.compare(errors, unchanged["test_mse"])
            row |= {"difference": found.difference, "low": found.low, "high": found.high}
            row |= {"verdict": found.verdict}
        rows.append(row | {name: group[name].mean() for name in ("knn_accuracy", "parameters")})
    return pd.DataFrame(rows)


def relative(table: pd.DataFrame) -> pd.DataFrame:
    """The effects as fractions of the unchanged test error, in words.

    Args:
        table: as ``effects`` returns.

    Returns:
        One row a change, in the order of ``table``: change (in words), setting, verdict,
        difference, low and high (fractions; 0.1 is 10% more error).

    Raises:
        ValueError: no row of ``table`` is that of the unchanged runs.
    """
    same: Any = table["setting"] == UNCHANGED
    if not same.any():
        raise ValueError(
            f"table: one row must have the setting {UNCHANGED!r}, to hold the others against"
        )
    changed: Any = table[~same].reset_index(drop=True)
    numbers = changed[["difference", "low", "high"]] / table.loc[same, "test_mse"].iloc[0]
    named = changed[["setting", "verdict"]].join(numbers)
    named.insert(0, "change", in_words(changed))
    return named


def in_words(table: pd.DataFrame) -> list[str]:
    """What was changed in each row, and to what: "hidden width 32, grid lengthened halfway".

    Args:
        table: columns setting and value, as ``effects`` and ``grid_coverage`` return them.
    """
    return [
        ", ".join(
            labels.setting(name, {"True": True, "False": False}.get(own, own))
            for name, own in zip(names.split(" + "), values.split(", "), strict=True)
        )
        if names != UNCHANGED
        else UNCHANGED
        for names, values in zip(table["setting"], table["value"], strict=True)
    ]


def grid_coverage(records: Sequence[Record], base: Run) -> pd.DataFrame:
    """Where the inputs of each KAN layer lay on its grid, before and after training.

    Args:
        records: with their arrays.
        base: as for ``effects``.

    Returns:
        One row for each set of changes and layer: setting, value, layer (from 1), outside_before
        and outside_after (fractions of all numbers that met no spline at all), inside_after (that
        met all of them), means over seeds. Records made before coverage was kept have no rows.
    """
    rows = []
    for record in records:
        arrays = load_arrays(record)
        setting, value = _describe(changes(record.run, base))
        before, after = (arrays.get(f"coverage_{when}", []) for when in ("before", "after"))
        for layer, (first, last) in enumerate(zip(before, after, strict=True), 1):
            rows.append((setting, value, layer, first[2], last[2], last[0]))
    columns: Any = ["setting", "value", "layer", "outside_before", "outside_after", "inside_after"]
    table: Any = pd.DataFrame(rows, columns=columns)
    return table.groupby(columns[:3], sort=False).mean().reset_index()


def crossed(records: Sequence[Record], base: Run, first: str, second: str) -> pd.DataFrame:
    """Test error, mean over seeds, for all pairs of two settings, all others being the base's.

    Args:
        records: those of runs that change another setting are left out.
        base: as for ``effects``.
        first: name of the setting that makes the rows.
        second: of the one that makes the columns.

    Returns:
        Index ``first``, columns ``second``, both increasing; NaN where there was no run.
    """
    rows = [
        {name: _settings(record.run)[name] for name in (first, second)}
        | {"test_mse": record.evaluation["test_mse"]}
        for record in records
        if changes(record.run, base).keys() <= {first, second}
    ]
    table: Any = pd.DataFrame(rows)
    return table.pivot_table(index=first, columns=second, values="test_mse", aggfunc="mean")


def _settings(run: Run) -> dict[str, Any]:
    """All settings in force, the seed apart: the preset acts through those it sets."""
    every = run.model_dump() | run.training().model_dump()
    return {name: value for name, value in every.items() if name not in ("seed", "preset")}


def _describe(changed: dict[str, Any]) -> tuple[str, str]:
    """Names and values, as text."""
    if not changed:
        return UNCHANGED, NOTHING
    return " + ".join(changed), ", ".join(str(value) for value in changed.values())
