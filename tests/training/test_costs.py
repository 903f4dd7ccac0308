"""Costs against hand counts."""

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from kanlib import build_model
from kanlib.experiments import Run, costs
from kanlib.experiments.run import labels
from kanlib.models.dense import kan_pure, mlp

IMAGES = torch.rand(10, 1, 4, 4) * 2 - 1


def test_multiply_adds_of_known_models():
    assert costs.multiply_adds(nn.Linear(7, 3), torch.zeros(5, 7)) == 5 * 7 * 3
    assert costs.multiply_adds(mlp((1, 4, 4), 3, 5), IMAGES[:1]) == 2 * (16 * 5 + 5 * 3)
    # a KAN layer is one product with G + k coefficients and the base's weight an edge
    assert costs.multiply_adds(kan_pure((1, 4, 4), 3), IMAGES[:1]) == 2 * 16 * 3 * 9
    convolution = nn.Conv2d(1, 8, 3, stride=2, padding=1)
    assert costs.multiply_adds(convolution, torch.zeros(1, 1, 28, 28)) == 14 * 14 * 8 * 9


def test_training_memory_of_a_linear_model():
    model = nn.Linear(16, 16, bias=False)
    x = torch.rand(64, 16)
    # weights, gradients, two moments; for the backward: x, and the outputs that the error is of
    assert costs.training_bytes(model, x) == 4 * (4 * 16 * 16) + 4 * (64 * 16) * 2


def test_costs_has_a_row_a_model_and_no_step_for_pca():
    models = {name: build_model(name, (1, 4, 4), 3) for name in ("kan", "mlp", "pca")}
    table = costs.costs(models, IMAGES, rounds=1)
    assert list(table.index) == ["kan", "mlp", "pca"] and list(table) == list(costs.COSTS)
    assert table.loc["pca", ["training_mib", "step_ms"]].isna().all()
    assert (table.drop(index="pca") > 0).all(axis=None)
    assert table.loc["pca", "multiply_adds"] == 2 * 3 * 16


def test_measuring_leaves_a_model_nearly_as_it_was():
    model = kan_pure((1, 4, 4), 3)
    before = [p.clone() for p in model.parameters()]
    costs.costs({"kan": model}, IMAGES, rounds=3)
    for old, new in zip(before, model.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=1e-6)


def test_what_was_measured_names_the_device():
    table = costs.measured({"mlp": mlp((1, 4, 4), 3)}, IMAGES)
    assert table["device"].str.startswith("cpu").all()
    assert table["torch"].iloc[0] == torch.__version__


def test_steps_are_timed_in_rounds_for_each_data_set_and_bottleneck(tmp_path):
    runs = [Run(model=model, bottleneck=size, seed=seed)
            for size in (2, 3) for model in ("mlp", "pca") for seed in (0, 1)]  # fmt: skip
    np.savez(tmp_path / "run.npz", originals=IMAGES.numpy())
    records: Any = pd.DataFrame([run.model_dump() for run in runs]).assign(
        label=labels(runs), path=str(tmp_path / "run.json")
    )
    table = costs.training_steps(records, runs, rounds=2)
    rows = table[["dataset", "bottleneck", "label", "round"]].to_numpy().tolist()
    assert rows == [["digits", size, "MLP", round_] for size in (2, 3) for round_ in (0, 1)]
    assert min(table["step_ms"]) > 0 and set(table["threads"]) == {1}
    assert costs.training_steps(records[2:4], runs[2:4]).empty  # PCA alone
    with pytest.raises(ValueError, match="records has 8 rows, runs 7"):
        costs.training_steps(records, runs[:-1])


def test_all_are_timed_on_one_thread_and_each_after_itself():
    calls, threads = [], torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seconds = costs._interleaved(
            {name: partial(lambda n: calls.append((n, torch.get_num_threads())), name)
             for name in "abc"}, rounds=8,
        )  # fmt: skip
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert {name: len(times) for name, times in seconds.items()} == dict.fromkeys("abc", 8)
    assert {count for _, count in calls} == {1}
    names = [name for name, _ in calls]
    assert names[::2] == names[1::2]  # the first call of each pair is not timed
    rounds = {tuple(names[i : i + 6 : 2]) for i in range(0, len(names), 6)}
    assert len(rounds) > 1 and all(set(order) == set("abc") for order in rounds)


def test_the_front_is_what_nobody_beats():
    table = pd.DataFrame({"cost": [1, 2, 2, 3, 4, np.nan], "loss": [9, 5, 7, 5, 1, 0]})
    assert costs.pareto(table, "cost", "loss").tolist() == [True, True, False, False, True, False]
    twins = pd.DataFrame({"cost": [1, 1], "loss": [2, 2]})
    assert costs.pareto(twins, "cost", "loss").all()


@pytest.mark.parametrize("rounds", [0, 1.5, True])
def test_bad_rounds_are_named(rounds):
    with pytest.raises(ValueError, match="rounds="):
        costs.costs({"mlp": mlp((1, 4, 4), 3)}, IMAGES, rounds=rounds)


def test_no_models_are_refused():
    with pytest.raises(ValueError, match=r"models=\[\]"):
        costs.costs({}, IMAGES)
