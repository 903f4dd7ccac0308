"""What is noted of a model: its steps, its grids, its dead units, its pictures."""

import gc

import numpy as np
import pytest
import torch
from torch import nn

from kanlib import BSpline, KANLinear, build_model
from kanlib.data import Images, Split
from kanlib.models.dense import kan_pure, mlp
from kanlib.training import StepLog, TrainingConfig, train
from kanlib.training.diagnostics import coverage_array, dead_units, picture_arrays


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


def test_steps_of_sixteen_bits_are_logged():
    model, log = nn.Linear(2, 1, dtype=torch.bfloat16), StepLog(every=1)
    loss = model(torch.ones(1, 2, dtype=torch.bfloat16)).square().sum()
    loss.backward()
    log(model, loss.detach())
    assert log.arrays()["step_loss"].tolist() == [loss.item()]


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
    for step in range(1, 1100):
        log(model, torch.tensor(float(step)))
    assert tensors() <= before  # others may have gone meanwhile
    assert log.arrays()["step_loss"].tolist() == list(range(1100))


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


def test_pictures_are_taken_in_the_precision_of_the_model():
    split = Split(torch.rand(6, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1] * 3))
    images = Images("doubles", split, split, ("a", "b"))
    arrays = picture_arrays(build_model("kan", (1, 4, 4), 2).double(), images)
    assert {array.dtype.name for name, array in arrays.items() if name != "edge_inputs"} == {
        "float64"
    }


def test_pictures_show_the_first_test_image_of_each_class_and_the_liveliest_edges(few_digits):
    model = build_model("kan", few_digits.shape, 4)
    arrays = picture_arrays(model, few_digits)
    firsts = [(few_digits.test.labels == c).nonzero()[0].item() for c in range(10)]
    originals = few_digits.test.images[firsts]
    assert torch.equal(torch.from_numpy(arrays["originals"]), originals)
    torch.testing.assert_close(
        torch.from_numpy(arrays["reconstructions"]), model(originals).detach()
    )
    layer, points = model.encoder.get_submodule("1"), torch.from_numpy(arrays["edge_points"])
    assert arrays["edge_values"].shape == (12, len(points))
    # phi_0i at the points, by feeding one pixel at a time: y_0 of (0 .. x .. 0) minus that of 0.
    spreads = []
    zeros = torch.zeros(1, 64)
    for pixel in range(64):
        x = zeros.repeat(60, 1)
        x[:, pixel] = few_digits.test.images[:, 0].flatten(1)[:, pixel]
        spreads.append((layer(x) - layer(zeros))[:, 0].std().item())
    liveliest = sorted(range(64), key=lambda pixel: -spreads[pixel])[:12]
    assert arrays["edge_inputs"].tolist() == liveliest
    x = zeros.repeat(len(points), 1)
    x[:, liveliest[0]] = points
    difference = (layer(x) - layer(zeros))[:, 0].detach().numpy()
    shown = arrays["edge_values"][0]
    middle = len(points) // 2  # x = 0
    assert shown - shown[middle] == pytest.approx(difference, abs=1e-5)


def test_dead_units_are_those_that_no_image_reaches(few_digits: Images):
    model = build_model("mlp", few_digits.shape, 4, hidden=5)
    assert dead_units(model, few_digits).shape == (2,)
    first = next(m for m in model.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        first.weight[1:3] = 0
        first.bias[1:3] = -1  # never above 0, whatever the image
        first.weight[[0, 3, 4]] = 0
        first.bias[[0, 3, 4]] = 1
    assert dead_units(model, few_digits)[0] == 2
    conv = build_model("conv", few_digits.shape, 4)
    assert len(dead_units(conv, few_digits)) == 4  # two on each side
    assert len(dead_units(build_model("kan-pure", few_digits.shape, 4), few_digits)) == 0


def test_coverage_has_a_row_for_each_kan_layer(few_digits: Images):
    rows = coverage_array(build_model("kan", few_digits.shape, 4), few_digits)
    assert rows.shape == (2, 3)
    assert rows.sum(1) == pytest.approx([1, 1])
    assert rows[0] == pytest.approx([1, 0, 0])  # pixels lie in [-1, 1]
    without = build_model("mlp", few_digits.shape, 4)
    assert coverage_array(without, few_digits).shape == (0, 3)
    assert sorted(picture_arrays(without, few_digits)) == ["originals", "reconstructions"]
