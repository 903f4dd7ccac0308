"""The columns that say which model a row is of: the parameters of its run."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.run import Run

# What runs that differ by their seed alone have in common.
CONFIGURATION = [name for name in Run.model_fields if name != "seed"]


def configuration(row: Mapping[Any, Any]) -> Run:
    """The run that a row is of, with seed 0; rows of one configuration give equal ones.

    Args:
        row: of a DataFrame, or any mapping. Parameters of ``Run`` that it lacks are the defaults;
            its other columns do not matter. NaN stands for None, and 8.0 for 8: a DataFrame
            turns the one into the other.

    Raises:
        ValueError: a parameter is out of range or has no meaning for the model.
    """
    values = {name: _plain(row[name]) for name in CONFIGURATION if name in row}
    return _run(tuple(values.items()))


def configurations(frame: pd.DataFrame) -> list[Run]:
    """The ``configuration`` of each row."""
    rows: Any = frame[[name for name in CONFIGURATION if name in frame]]
    return [configuration(row) for row in rows.to_dict("records")]


def by_configuration(frame: pd.DataFrame) -> dict[Run, pd.DataFrame]:
    """The rows of each configuration, in order of appearance."""
    places: dict[Run, list[int]] = {}
    for place, run in enumerate(configurations(frame)):
        places.setdefault(run, []).append(place)
    return {run: frame.iloc[rows] for run, rows in places.items()}


def join(left: pd.DataFrame, right: pd.DataFrame) -> pd.DataFrame:
    """The columns that ``right`` has for the configuration of each row of ``left``, beside it.

    Args:
        left: with the columns ``CONFIGURATION``.
        right: likewise, one row a configuration; configurations that ``left`` lacks are left out.

    Returns:
        The rows and columns of ``left``, then those of ``right`` that it lacks; NaN where ``right``
        lacks a configuration.

    Raises:
        ValueError: ``right`` has a configuration twice.
    """
    new = right.drop(columns=[name for name in right if name in left])
    places = {run: place for place, run in enumerate(configurations(right))}
    if len(places) < len(right):
        raise ValueError(
            f"right has {len(right)} rows of {len(places)} configurations; must have one of each"
        )
    found = [places.get(run, -1) for run in configurations(left)]
    beside = new.reset_index(drop=True).reindex(found).set_axis(left.index)
    return pd.concat([left, beside], axis=1)


def _plain(value: Any) -> Any:
    """A cell of a DataFrame as the value that ``Run`` had there."""
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, float):
        return None if np.isnan(value) else int(value) if value.is_integer() else value
    return None if value is pd.NA else value


@lru_cache(maxsize=4096)  # a frame has many rows of one configuration
def _run(values: tuple[tuple[str, Any], ...]) -> Run:
    return Run(**dict(values))
