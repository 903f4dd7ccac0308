"""Steps of a training: counts that can be made by hand."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.data import Images
from kanlib.experiments import Record, Run, load_records, save_record
from kanlib.experiments.environment import environment
from kanlib.report import stability
from kanlib.training import StepLog, evaluate, train
from kanlib.training.diagnostics import picture_arrays


def recorded(run: Run, images: Images, folder, logged: bool = True):
    """Train, and write the record of ``run``, as the training notebook does."""
    model, log = run.build_model(images.shape), StepLog()
    history = train(model, images, run.training(), seed=run.seed, on_step=log)
    record = Record(
        run=run, training=run.training(), evaluation=evaluate(model, images), history=history,
        classes=images.classes, data_fingerprint=images.fingerprint, wall_seconds=1.0,
        environment=environment("cpu", "default"),
    )  # fmt: skip
    save_record(record, folder, picture_arrays(model, images) | (log.arrays() if logged else {}))


def steps_of(losses, norms, label="a", seed=0, epochs=2):
    count = len(losses)
    return pd.DataFrame(
        {
            "label": label, "seed": seed, "step": 1 + 10 * np.arange(count),
            "epoch": np.arange(count) * epochs / count, "loss": losses, "gradient_norm": norms,
        }
    )  # fmt: skip


def test_failures_spread_and_gradients_are_those_counted_by_hand():
    records = pd.DataFrame({"label": "a", "seed": range(4), "test_mse": [1.0, 1.0, 1.2, 2.0]})
    losses = [1.0] * 40
    losses[25] = 2.0  # stands out of its neighbours
    losses[30] = 1.4  # does not
    steps = steps_of(losses, [100.0] * 20 + [1.0] * 19 + [5.0])
    row = stability.summarise(records, steps).loc["a"]
    assert row["seeds"] == 4
    assert row["failed"] == 1  # 2.0 is over 1.5 x 1.1, 1.2 is not
    assert (row["test_mse_min"], row["test_mse_max"]) == (1.0, 2.0)
    assert row["cv"] == pytest.approx(np.std([1, 1, 1.2, 2], ddof=1) / 1.3)
    assert row["spikes"] == pytest.approx(1 / 40)
    assert row["gradient_median"] == 1.0  # the first epoch's 100 is left out
    assert row["gradient_p99"] == pytest.approx(np.quantile([1.0] * 19 + [5.0], 0.99))


def test_a_loss_is_held_against_its_own_seed():
    steps = pd.concat([steps_of([1.0] * 30, [1.0] * 30), steps_of([9.0] * 30, [1.0] * 30, seed=1)])
    records = pd.DataFrame({"label": "a", "seed": [0, 1], "test_mse": [1.0, 1.0]})
    assert stability.summarise(records, steps).loc["a", "spikes"] == 0


def test_steps_come_from_the_records(few_digits: Images, tmp_path):
    runs = [Run(bottleneck=4, seed=seed, epochs=2, batch_size=8) for seed in (0, 1)]
    runs.append(Run(model="pca", bottleneck=4))
    for run in runs:
        recorded(run, few_digits, tmp_path)
    steps: Any = stability.load_steps(load_records(runs, tmp_path))
    assert steps.groupby("seed").size().tolist() == [5, 5]  # 2 x 24 steps, every tenth
    assert steps["step"].tolist()[:5] == [1, 11, 21, 31, 41]
    assert steps["epoch"].max() == pytest.approx(2 * 4 / 5)
    assert set(steps["label"]) == {"KAN"}  # PCA has no steps
    assert (steps["loss"] > 0).all() and (steps["gradient_norm"] > 0).all()


def test_dead_units_come_from_the_records(few_digits: Images, tmp_path):
    run = Run(bottleneck=4, epochs=1)
    recorded(run, few_digits, tmp_path)
    records = load_records([run], tmp_path)
    assert stability.dead_units(records).isna().all(axis=None)  # made before they were counted
    arrays = records["path"].str.replace(".json", ".npz").iloc[0]
    np.savez(arrays, dead_units=np.array([2, 1]))
    assert stability.dead_units(records).to_numpy().tolist() == [[2, 1]]
    np.savez(arrays, dead_units=np.array([], dtype=np.int64))  # a model without ReLU
    assert stability.dead_units(records).to_numpy().tolist() == [[0, 0]]


def test_a_record_without_a_log_is_named(few_digits: Images, tmp_path):
    run = Run(bottleneck=4, epochs=1)
    recorded(run, few_digits, tmp_path, logged=False)
    with pytest.raises(ValueError, match=r"seed=00.*\.json has no log of its steps; delete it"):
        stability.load_steps(load_records([run], tmp_path))
