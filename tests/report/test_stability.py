"""Steps of a training: counts that can be made by hand."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from records import made_up

from kanlib.experiments import Run, step_logs, to_frame
from kanlib.report import stability


def steps_of(losses, norms, run=Run(), epochs=2):  # noqa: B008
    count = len(losses)
    own = {"step": 1 + 10 * np.arange(count), "epoch": np.arange(count) * epochs / count}
    return pd.DataFrame(own | {"loss": losses, "gradient_norm": norms}).assign(**run.model_dump())


def frame(errors, run=Run(), dead=0.0):  # noqa: B008
    rows = [run.model_dump() | {"seed": s, "test_mse": error} for s, error in enumerate(errors)]
    return pd.DataFrame(rows).assign(dead_before_code=dead, dead_after_code=2 * dead)


def test_failures_spread_and_gradients_are_those_counted_by_hand():
    losses = [1.0] * 40
    losses[25] = 2.0  # stands out of its neighbours
    losses[30] = 1.4  # does not
    steps = steps_of(losses, [100.0] * 20 + [1.0] * 19 + [5.0])
    row: Any
    (row,) = stability.summarise(frame([1.0, 1.0, 1.2, 2.0], dead=1.5), steps).itertuples()
    assert (row.model, row.bottleneck, row.seeds) == ("kan", 8, 4)
    assert row.failed == 1  # 2.0 is over 1.5 x 1.1, 1.2 is not
    assert (row.test_mse_min, row.test_mse_max) == (1.0, 2.0)
    assert row.cv == pytest.approx(np.std([1, 1, 1.2, 2], ddof=1) / 1.3)
    assert row.spikes == pytest.approx(1 / 40)
    assert row.gradient_median == 1.0  # the first epoch's 100 is left out
    assert row.gradient_p99 == pytest.approx(np.quantile([1.0] * 19 + [5.0], 0.99))
    assert (row.dead_before_code, row.dead_after_code) == (1.5, 3.0)


def test_a_loss_is_held_against_its_own_seed_and_configuration():
    others = [Run(seed=1), Run(hidden=3)]
    steps = pd.concat(
        [
            steps_of([1.0] * 30, [1.0] * 30),
            *(steps_of([9.0] * 30, [7.0] * 30, run) for run in others),
        ]
    )
    both = pd.concat([frame([1.0, 1.0]), frame([3.0], Run(hidden=3))])
    table = stability.summarise(both, steps)
    assert table["spikes"].tolist() == [0, 0]
    assert table["seeds"].tolist() == [2, 1]
    assert table["gradient_median"].tolist() == [4, 7]


def test_a_model_without_steps_has_no_spikes_and_no_gradients(tmp_path):
    record = made_up(Run(model="pca"), 0.5, tmp_path, edge_inputs=[0])
    table = to_frame([record]).join(stability.dead_units([record]))
    row: Any
    (row,) = stability.summarise(table, step_logs([record])).itertuples()
    assert row.test_mse == 0.5
    assert math.isnan(row.spikes) and math.isnan(row.gradient_p99)


def test_dead_units_are_counted_before_the_code_and_after_it(tmp_path):
    kept = ({"dead_units": [2, 1]}, {"dead_units": np.array([], int)}, {"edge_inputs": [0]})
    records = [made_up(Run(seed=seed), 0.5, tmp_path, **arrays) for seed, arrays in enumerate(kept)]
    table = stability.dead_units(records)
    assert list(table) == ["dead_before_code", "dead_after_code"]
    assert table.to_numpy()[:2].tolist() == [[2, 1], [0, 0]]  # the second has no ReLU
    assert table.iloc[2].isna().all()  # made before they were counted


def test_a_run_that_answers_all_images_alike_is_found(tmp_path):
    made = np.zeros((3, 1, 2, 2)), np.arange(12.0).reshape(3, 1, 2, 2)
    records = [
        made_up(Run(seed=seed), 0.5, tmp_path, originals=made[1], reconstructions=images)
        for seed, images in enumerate(made)
    ]
    assert stability.answer_alike(records) == [True, False]


def test_jumps_are_the_largest_rise_of_each_run():
    runs = [Run(seed=0), Run(seed=1), Run(hidden=3)]
    losses = [[4.0, 2.0, 3.0, 3.3], [4.0, 2.0, 1.0, 0.9], [1.0, 1.5, 1.8, 1.2]]
    parts = [
        pd.DataFrame({"epoch": range(1, 5), "test_loss": own}).assign(**run.model_dump())
        for run, own in zip(runs, losses, strict=True)
    ]
    table = stability.jumps(pd.concat(parts))
    assert table["rise"].tolist() == pytest.approx([0.5, -0.1, 0.5])
    assert table["seed"].tolist() == [0, 1, 0]
    assert table["hidden"].fillna(0).tolist() == [0, 0, 3]
