"""The log of a training's steps: right numbers, at the right steps, and no influence."""

import gc

import numpy as np
import pytest
import torch
from torch import nn

from kanlib import BSpline, KANLinear
from kanlib.data import Images
from kanlib.models.dense import kan_pure, mlp
from kanlib.training import StepLog, TrainingConfig, train


def test_losses_and_gradient_norms_of_a_known_model():
    model, log = nn.Linear(2, 1, bias=False), StepLog(every=2)
    for step in range(5):
        model.zero_grad()
        loss = (model.weight * torch.tensor([[3.0, 4.0]])).sum() * (step + 1)
        loss.backward()
        log(model, torch.tensor(float(step)))
    arrays = log.arrays()
    assert arrays["step_loss"].tolist() == [0, 2, 4]
    assert arrays["gradient_norm"] == pytest.approx([5, 15, 25])  # |(3, 4)| times step + 1


def test_a_training_that_is_watched_is_the_same(few_digits: Images):
    trained = []
    log = StepLog(every=1)
    for on_step in (None, log):
        torch.manual_seed(1)
        model = mlp(few_digits.shape, 4)
        history = train(model, few_digits, TrainingConfig(epochs=2), on_step=on_step)
        trained.append((history.train_loss, [p.tolist() for p in model.parameters()]))
    assert trained[0] == trained[1]
    losses = log.arrays()["step_loss"].reshape(2, -1)
    assert losses.mean(1) == pytest.approx(trained[0][0], rel=1e-6)


def test_no_step_leaves_a_tensor_behind():
    def tensors():
        gc.collect()
        return sum(type(thing) is torch.Tensor for thing in gc.get_objects())

    model, log = nn.Linear(2, 1), StepLog(every=1)
    model(torch.ones(1, 2)).sum().backward()
    log(model, torch.tensor(0.0))
    before = tensors()
    for step in range(1, 2000):
        log(model, torch.tensor(float(step)))
    assert tensors() <= before  # others may have gone meanwhile
    assert log.arrays()["step_loss"].tolist() == list(range(2000))


def test_without_steps_there_are_no_arrays():
    assert StepLog().arrays() == {}


def test_a_refined_model_trains_on(few_digits: Images):
    def basis_of(model):
        bases = (m.basis for m in model.modules() if isinstance(m, KANLinear))
        return (basis for basis in bases if isinstance(basis, BSpline))

    def errors(refine):
        torch.manual_seed(0)
        model = kan_pure(few_digits.shape, 4)
        config = TrainingConfig(epochs=4, refine=refine)
        return model, train(model, few_digits, config).test_loss

    plain, finer, longer = (errors(refine) for refine in (None, "finer", "longer"))
    grids = [next(basis_of(model)) for model, _ in (plain, finer, longer)]
    assert [grid.grid_size for grid in grids] == [5, 10, 11]
    assert grids[2].grid_range == pytest.approx((-2.2, 2.2))
    assert finer[1][:2] == plain[1][:2] == longer[1][:2]
    assert len({finer[1][2], plain[1][2], longer[1][2]}) == 3
    assert np.isfinite(finer[1]).all() and finer[1][3] < finer[1][1]
