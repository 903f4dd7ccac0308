"""Rows and the configurations that they are of."""

import io

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report.columns import (
    CONFIGURATION,
    by_configuration,
    configuration,
    configurations,
    join,
)

RUNS = [
    Run(model="mlp", hidden=32),
    Run(model="kan", bottleneck=4, learning_rate=0.01, separate_scale=False),
    Run(model="kan", basis="chebyshev", degree=3),
    Run(model="kan", grid_range=2.0),
]
FRAME = pd.DataFrame([run.model_dump() for run in RUNS])


def test_a_configuration_survives_a_frame_and_a_file():
    assert FRAME["hidden"].dtype == float  # so None is NaN there, and 32 is 32.0
    assert configurations(FRAME) == RUNS
    assert configurations(pd.read_csv(io.StringIO(FRAME.to_csv(index=False)))) == RUNS


def test_what_a_row_lacks_is_the_default_and_its_seed_does_not_matter():
    assert configuration({"model": "mlp", "seed": 7, "test_mse": 0.1}) == Run(model="mlp")


def test_rows_of_a_configuration_are_found_wherever_they_stand():
    groups = by_configuration(pd.concat([FRAME, FRAME.assign(seed=1)]))
    assert list(groups) == RUNS
    assert [rows["seed"].tolist() for rows in groups.values()] == [[0, 1]] * len(RUNS)


def test_a_bad_parameter_is_named():
    with pytest.raises(ValueError, match="bottleneck=0"):
        configuration({"bottleneck": 0})


def test_join_goes_by_configuration_and_not_by_the_order():
    prices = FRAME[CONFIGURATION].assign(price=[1.0, 2.0, 3.0, 4.0]).iloc[[3, 1, 0]]
    both = join(FRAME.assign(error=0.5), prices)
    assert both["price"].tolist() == pytest.approx([1, 2, np.nan, 4], nan_ok=True)
    assert list(both) == [*FRAME, "error", "price"]


def test_join_refuses_a_configuration_that_is_there_twice():
    with pytest.raises(ValueError, match="right has 8 rows of 4"):
        join(FRAME, pd.concat([FRAME, FRAME]))
