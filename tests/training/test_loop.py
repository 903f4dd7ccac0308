"""Training against loops written out by hand, and what must not change between two runs."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
import truth
from torch import nn

from kanlib import MODELS, BSpline, KANLinear, build_model
from kanlib.data import Images, Split
from kanlib.experiments import Run
from kanlib.models import Autoencoder
from kanlib.nn import OwnKnots, OwnRange, update_grids
from kanlib.training import (
    StepLog,
    TrainingConfig,
    TrainingDiverged,
    evaluate,
    loop,
    preset,
    train,
)


def images_of(pixels: torch.Tensor) -> Images:
    split = Split(pixels, torch.zeros(len(pixels), dtype=torch.int64))
    return Images("made up", split, split, ("one",))


class Constant(nn.Module):
    """One parameter: every pixel of every image."""

    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.value.expand_as(images)


class Recorder(nn.Module):
    """Passes images on, and keeps those seen while training."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))
        self.batches: list[torch.Tensor] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.batches.append(images.flatten())
        return images * self.gain


def trained(images: Images, name: str = "kan", seed: int = 0, **config: float):
    torch.manual_seed(0)
    model = build_model(name, images.shape, 5)
    history = train(model, images, TrainingConfig(**config), seed=seed)  # pyright: ignore
    return model, history


def test_training_leaves_the_global_generator_alone(few_digits):
    model = build_model("kan", few_digits.shape, 5)
    before = torch.get_rng_state()
    train(model, few_digits, TrainingConfig(epochs=2, refine="finer"))
    assert torch.equal(torch.get_rng_state(), before)


def test_every_epoch_takes_every_image_once_in_another_order():
    pixels = torch.arange(10.0).view(10, 1, 1, 1) / 16
    recorder = Recorder()
    train(
        Autoencoder(recorder, nn.Identity()),
        images_of(pixels),
        TrainingConfig(epochs=2, batch_size=4),
    )
    assert [len(batch) for batch in recorder.batches] == [4, 4, 2] * 2
    epochs = torch.cat(recorder.batches).view(2, 10) * 16
    assert epochs.sort(dim=1).values.tolist() == [list(range(10))] * 2
    assert epochs[0].tolist() != epochs[1].tolist()
    assert epochs[0].tolist() != list(range(10))


def test_the_learning_rate_is_multiplied_by_the_decay_after_each_epoch():
    # Far from its target the gradient is constant, and then a step of Adam is the learning rate.
    model = Constant()
    positions = []
    model.register_forward_pre_hook(
        lambda *_: positions.append(model.value.item()) if model.training else None
    )
    config = TrainingConfig(epochs=4, batch_size=1, weight_decay=0.0)
    train(Autoencoder(nn.Identity(), model), images_of(torch.ones(2, 1, 1, 1)), config)
    steps = torch.diff(torch.tensor([*positions, model.value.item()], dtype=torch.float64))
    rates = [1e-3 * 0.8**epoch for epoch in range(4) for _ in range(2)]
    assert steps.tolist() == pytest.approx(rates, rel=1e-3)


def test_a_trained_layer_is_that_of_adamw_written_out():
    torch.manual_seed(0)
    pixels = torch.rand(6, 1, 2, 2, dtype=torch.float64) * 2 - 1
    layer = KANLinear(4, 4, separate_scale=True, dtype=torch.float64)
    weights = [parameter.detach().clone() for parameter in layer.parameters()]
    model = Autoencoder(nn.Sequential(nn.Flatten(), layer), nn.Unflatten(1, (1, 2, 2)))
    config = TrainingConfig(learning_rate=0.02, weight_decay=0.3, epochs=5, batch_size=6, decay=0.9)
    history = train(model, images_of(pixels), config)

    rows, losses = pixels.flatten(1), []
    columns = [truth.basis_values(BSpline(5, 3), column) for column in rows.T.numpy()]
    bumps = torch.stack([torch.from_numpy(column) for column in columns], dim=2)  # (N, M, I)
    means, squares = ([torch.zeros_like(w) for w in weights] for _ in range(2))
    for step in range(1, 6):
        weight, scale = (w.requires_grad_() for w in weights)
        y = nn.functional.silu(rows) @ weight[:, 0].T
        y = y + torch.einsum("nmi,omi,oi->no", bumps, weight[:, 1:], scale)
        loss = ((y - rows) ** 2).mean()
        losses.append(loss.item())
        rate = 0.02 * 0.9 ** (step - 1)
        for i, grad in enumerate(torch.autograd.grad(loss, [weight, scale])):
            means[i] = 0.9 * means[i] + 0.1 * grad
            squares[i] = 0.999 * squares[i] + 0.001 * grad**2
            mean, square = means[i] / (1 - 0.9**step), squares[i] / (1 - 0.999**step)
            decayed = weights[i].detach() * (1 - rate * 0.3)
            weights[i] = decayed - rate * mean / (square.sqrt() + 1e-8)
    assert history.train_loss == pytest.approx(losses, rel=1e-6)  # kept in single precision
    for ours, expected in zip(layer.parameters(), weights, strict=True):
        torch.testing.assert_close(ours.detach(), expected, rtol=0, atol=1e-9)


def test_the_test_split_is_watched_and_never_used(few_digits):
    model, history = trained(few_digits, epochs=2)
    test = Split(torch.rand(3, 1, 8, 8), torch.tensor([0, 1, 2]))
    other = replace(few_digits, test=test)
    same, watched = trained(other, epochs=2)
    assert torch.equal(model(few_digits.test.images), same(few_digits.test.images))
    assert history.train_loss == watched.train_loss
    assert history.test_loss != watched.test_loss


class Spoiler(nn.Module):
    """NaN in the place of what is negative."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.masked_fill(images < 0, torch.nan)


def test_a_loss_that_is_nan_stops_training_and_names_epoch_and_step():
    pixels = torch.zeros(4, 1, 1, 1)
    pixels[2] = -1
    recorder = Recorder()
    model = Autoencoder(recorder, Spoiler())
    with pytest.raises(TrainingDiverged) as caught:
        train(model, images_of(pixels), TrainingConfig(batch_size=1))
    step = 1 + next(i for i, batch in enumerate(recorder.batches) if batch.min() < 0)
    assert f"nan at epoch 1, step {step} of 4" in str(caught.value)
    assert "learning_rate below 0.001" in str(caught.value)


@pytest.mark.parametrize(
    ("batch_size", "stated"), [(1, "inf at epoch 1, step 2 of 2"), (2, "test error became inf")]
)
def test_a_learning_rate_that_is_too_large_stops_training_and_is_named(batch_size, stated):
    model = Autoencoder(nn.Identity(), Constant())
    config = TrainingConfig(learning_rate=1e30, batch_size=batch_size, epochs=1)
    with pytest.raises(TrainingDiverged, match=rf"{stated}.*1e\+30"):
        train(model, images_of(torch.ones(2, 1, 1, 1)), config)


def test_training_leaves_cudnn_on(few_digits):
    model, seen = build_model("mlp", few_digits.shape, 5), []
    config = TrainingConfig(epochs=1)
    train(model, few_digits, config, on_step=lambda *_: seen.append(torch.backends.cudnn.enabled))
    assert set(seen) == {torch.backends.cudnn.enabled}


def test_refining_needs_a_grid_and_an_epoch_on_each():
    mlp = build_model("mlp", (1, 1, 1), 1)
    with pytest.raises(ValueError, match="refine='finer'"):
        train(mlp, images_of(torch.ones(2, 1, 1, 1)), TrainingConfig(refine="finer"))
    with pytest.raises(ValueError, match=r"epochs=1 .*refine='longer'"):
        TrainingConfig(epochs=1, refine="longer")
    with pytest.raises(ValueError, match="update_grid='range'"):
        train(mlp, images_of(torch.ones(2, 1, 1, 1)), TrainingConfig(update_grid="range"))


@pytest.mark.parametrize("how", ["range", "knots"])
def test_grids_follow_the_training_images_in_the_first_half(few_digits, monkeypatch, how):
    moves = []

    def update(model, inputs, grid_eps):
        """Keep what the grids are to follow, and after how many steps."""
        moves.append((len(steps), inputs, grid_eps))
        update_grids(model, inputs, grid_eps)

    steps: list[Any] = []
    monkeypatch.setattr(loop, "update_grids", update)
    monkeypatch.setattr(loop, "SAMPLE", 70)
    model = build_model("kan-pure", few_digits.shape, 5)
    config = TrainingConfig(epochs=5, update_grid=how)
    train(model, few_digits, config, on_step=lambda *_: steps.append(None))
    a_pass = len(steps) // 5
    assert [when for when, _, _ in moves] == [0, a_pass]
    assert {eps for _, _, eps in moves} == {{"range": 1.0, "knots": 0.02}[how]}
    pixels = few_digits.train.images
    assert all(torch.equal(seen, pixels[::3]) for _, seen, _ in moves)
    assert 140 < len(pixels) <= 210  # a third is at most 70
    kind = {"range": OwnRange, "knots": OwnKnots}[how]
    layers = [layer for layer in model.modules() if isinstance(layer, KANLinear)]
    assert [type(layer.basis) for layer in layers] == [kind, kind]


@pytest.mark.parametrize(
    ("name", "model", "dataset", "rates"),
    [
        ("paper", "kan", "mnist", (1e-3, 1e-4)),
        ("authors", "kan", "mnist", (1e-4, 1e-3)),
        ("authors", "kan-pure", "mnist", (1e-4, 1e-3)),
        ("authors", "conv", "mnist", (1e-3, 1e-4)),
        ("authors", "kan", "cifar10", (1e-3, 1e-4)),
    ],
)
def test_presets_are_those_of_the_paper_and_of_its_authors(name, model, dataset, rates):
    config = preset(name, model, dataset)
    assert (config.learning_rate, config.weight_decay) == rates
    assert (config.epochs, config.batch_size, config.decay) == (10, 64, 0.8)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("learning_rate", (0.0, math.nan, "1e-3", True)),
        ("weight_decay", (-1e-9, None)),
        ("epochs", (0, 1.5)),
        ("batch_size", (0,)),
        ("decay", (0.0, 1.1)),
        ("refine", ("coarser",)),
        ("update_grid", ("ranges",)),
        ("momentum", (0.9,)),
    ],
)
def test_settings_out_of_range_are_named(name, values):
    for value in values:
        with pytest.raises(ValueError, match=f"{name}={value!r}"):
            TrainingConfig(**{name: value})


NO_GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
DEVICES = ["cpu", pytest.param("cuda", marks=NO_GPU)]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_trains_and_is_scored_on_any_device(few_digits, name, device):
    run, images = Run(model=name, bottleneck=5, epochs=2), few_digits.to(device)
    model, steps = run.build_model(images.shape).to(device), StepLog(every=1)
    before = evaluate(run.build_model(images.shape), few_digits)
    history = train(model, images, run.training(), seed=run.seed, on_step=steps)
    after = evaluate(model, images)
    assert isinstance(after["test_mse"], float) and isinstance(before["test_mse"], float)
    assert after["test_mse"] < before["test_mse"]
    epochs = 0 if name in ("pca", "lsa") else 2  # of three batches of 64
    assert len(steps.arrays().get("step_loss", ())) == 3 * epochs
    assert len(history.train_loss) == len(history.test_loss) == epochs
    assert history.train_loss == sorted(history.train_loss, reverse=True)
    assert history.seconds > 0 and history.peak_memory > 2**20
