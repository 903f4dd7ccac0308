"""Costs of the models of an experiment: measured once, then read."""

import numpy as np
import pandas as pd
import pytest
import torch
from records import made_up

from kanlib.experiments import Run
from kanlib.report import timing
from kanlib.report.columns import CONFIGURATION, configurations
from kanlib.training.costs import COSTS

RUNS = [
    Run(model=model, bottleneck=size, seed=seed)
    for size in (2, 3)
    for model in ("mlp", "pca")
    for seed in (0, 1)
]


@pytest.fixture
def records(tmp_path):
    images = np.random.default_rng(0).uniform(-1, 1, (10, 1, 4, 4)).astype(np.float32)
    return [made_up(run, 0.5, tmp_path, originals=images, reconstructions=images) for run in RUNS]


def counted(records, model):
    """The same records, with the true number of parameters."""
    size = sum(p.numel() for p in model.parameters())
    return [
        record.model_copy(update={"evaluation": record.evaluation | {"parameters": size}}).at(
            record.path
        )
        for record in records
    ]


def test_steps_are_timed_in_rounds_for_each_configuration(records, tmp_path):
    table = timing.training_steps(records, tmp_path / "new" / "steps.csv")
    assert list(table) == [*CONFIGURATION, "round", "step_ms", "device", "threads", "torch"]
    assert configurations(table) == [
        Run(model="mlp", bottleneck=s) for s in (2, 3) for _ in range(15)
    ]
    assert table["round"].tolist() == [*range(15), *range(15)]
    assert min(table["step_ms"]) > 0 and set(table["threads"]) == {1}
    assert set(table["torch"]) == {torch.__version__}


def test_what_is_kept_is_read_and_not_timed_again(records, tmp_path):
    kept = tmp_path / "steps.csv"
    first = timing.training_steps(records, kept)
    content = kept.read_bytes()
    again = timing.training_steps(records[::-1], kept)
    pd.testing.assert_frame_equal(again, first)
    fewer = timing.training_steps([r for r in records if r.run.bottleneck == 3], kept)
    assert set(fewer["bottleneck"]) == {3}
    assert kept.read_bytes() == content


def test_a_model_that_is_not_kept_has_all_timed(records, tmp_path):
    kept = tmp_path / "steps.csv"
    timing.training_steps(records[:2], kept)
    table = timing.training_steps(records, kept)
    assert set(table["bottleneck"]) == {2, 3}
    assert set(pd.read_csv(kept)["bottleneck"]) == {2, 3}


def test_without_training_there_are_no_steps(records, tmp_path):
    fitted = [record for record in records if record.run.model == "pca"]
    assert timing.training_steps(fitted, tmp_path / "steps.csv").empty


def test_costs_are_measured_once(records, tmp_path):
    kept = tmp_path / "costs.csv"
    mlp = counted(records[:2], RUNS[0].build_model((1, 4, 4)))
    table = timing.costs(mlp, kept)
    assert set(table) - set(CONFIGURATION) == {*COSTS, "device", "threads", "torch"}
    assert configurations(table) == [RUNS[0]]
    assert pd.read_csv(kept)["label"].tolist() == ["MLP"]
    assert kept.with_suffix(".md").exists() and kept.with_suffix(".tex").exists()
    content = kept.read_bytes()
    pd.testing.assert_frame_equal(timing.costs(mlp, kept), table)
    assert kept.read_bytes() == content


def test_a_model_of_another_size_is_measured_anew(records, tmp_path):
    kept = tmp_path / "costs.csv"
    mlp = counted(records[:2], RUNS[0].build_model((1, 4, 4)))
    timing.costs(mlp, kept)
    changed = pd.read_csv(kept).assign(parameters=3)
    changed.to_csv(kept, index=False)
    found = timing.costs(mlp, kept)["parameters"].tolist()
    assert found == [mlp[0].evaluation["parameters"]]


def test_the_front_is_what_nobody_beats():
    table = pd.DataFrame({"cost": [1, 2, 2, 3, 4, np.nan], "loss": [9, 5, 7, 5, 1, 0]})
    assert timing.pareto(table, "cost", "loss").tolist() == [True, True, False, False, True, False]
    twins = pd.DataFrame({"cost": [1, 1], "loss": [2, 2]})
    assert timing.pareto(twins, "cost", "loss").all()


def test_what_is_on_the_fronts_is_named_from_cheap_to_dear():
    table = pd.DataFrame(
        {
            "model": ["kan", "mlp", "pca", "mlp", "kan-pure"],
            "parameters": [5, 3, 1, 4, 9],
            "step_ms": [5, 3, np.nan, 4, 1],
            "test_mse": [9, 2, 3, 1, 8],
        }
    )
    found = timing.on_fronts(table, ["parameters", "step_ms"], ["test_mse"])
    assert found["cost"].tolist() == ["parameters", "training step (ms)"]
    assert found["a KAN?"].tolist() == ["no", "test error"]
    assert found["test error"].tolist() == ["PCA, MLP", "pure KAN, MLP"]
