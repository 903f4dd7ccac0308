"""Passes over many images take little memory, and change no number."""

import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from kanlib import build_model
from kanlib.data import Images, Split
from kanlib.models import Autoencoder
from kanlib.training import batches as module
from kanlib.training import evaluate, reconstruction_error
from kanlib.training.batches import Made, apply, batches
from kanlib.training.diagnostics import coverage_array, dead_units, picture_arrays


@pytest.fixture
def wide() -> Images:
    """Images so large that 30 of them are too many for the budget of these tests."""
    split = Split(torch.rand(30, 3, 40, 40) * 2 - 1, torch.arange(30) % 2)
    return Images("wide", split, replace(split, images=split.images.flip(0)), ("a", "b"))


def test_a_batch_has_as_many_images_as_memory_has_room_for(monkeypatch):
    images = torch.zeros(5000, 1, 5, 5)  # 100 bytes each
    twice = nn.Sequential(nn.ReLU(), nn.Sigmoid())
    assert [len(batch) for batch in batches(twice, images)] == [1024] * 4 + [904]
    monkeypatch.setattr(module, "MEMORY", 200 * 2000 + 100)
    assert {len(batch) for batch in batches(twice, images)} == {1024, 904}
    monkeypatch.setattr(module, "MEMORY", 200 * 1000 + 100)
    assert {len(batch) for batch in batches(twice, images)} == {1000}
    monkeypatch.setattr(module, "MEMORY", 1)
    assert {len(batch) for batch in batches(twice, images[:3])} == {1}
    with pytest.raises(ValueError, match=r"images of shape \(0, 1, 5, 5\)"):
        batches(twice, images[:0])


def test_views_and_what_is_written_in_place_cost_nothing():
    x = torch.zeros(10)
    with Made() as made:
        x.view(2, 5).add_(1).exp_()
        torch.add(x, x, out=torch.empty(10))  # its empty counts
    assert made.total == 40


class Watched(Autoencoder):
    """Keeps the bytes that each call makes."""

    def __init__(self, inner: Autoencoder) -> None:
        super().__init__(inner.encoder, inner.decoder)
        self.made: list[int] = []

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        with Made() as made:
            codes = super().encode(images)
        self.made.append(made.total)
        return codes


@pytest.mark.parametrize("name", ["kan-pure", "kan"])
def test_all_that_is_measured_keeps_to_the_budget(wide: Images, monkeypatch, name: str):
    def measure() -> tuple[Watched, list[np.ndarray]]:
        torch.manual_seed(0)
        model = Watched(build_model(name, wide.shape, 3)).eval()
        found = evaluate(model, wide)
        arrays = [coverage_array(model, wide), dead_units(model, wide)]
        arrays += picture_arrays(model, wide).values()
        arrays.append(np.array(found["test_mse"]))
        return model, arrays

    roomy, expected = measure()
    budget = 2**22
    assert max(roomy.made) > 2 * budget
    monkeypatch.setattr(module, "MEMORY", budget)
    model, found = measure()
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    assert max(model.made) < budget + 2 * weights  # those are scaled in each pass
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_what_apply_returns_can_be_trained_on(few_digits: Images):
    model = build_model("kan", few_digits.shape, 5)
    codes = apply(model.encode, few_digits.train.images)
    assert not codes.requires_grad and not codes.is_inference()
    layer = nn.Linear(5, 2)
    layer(codes).sum().backward()
    assert layer.weight.grad is not None


def test_apply_holds_one_part_beside_the_whole(monkeypatch):
    parts: list[weakref.ref[torch.Tensor]] = []

    def twice(x: torch.Tensor) -> torch.Tensor:
        assert sum(part() is not None for part in parts) <= 1
        parts.append(weakref.ref(made := 2 * x))
        return made

    images = torch.rand(9, 4)
    with pytest.raises(RuntimeError, match="shape"):  # it must not be broadcast
        apply(lambda x: x.mean(0, keepdim=True), images)
    monkeypatch.setattr(module, "MEMORY", 1)
    assert apply(twice, images).equal(2 * images)


def test_a_device_without_float64_gives_the_same_error(few_digits: Images, monkeypatch):
    model, seen = build_model("mlp", few_digits.shape, 5), []
    expected = reconstruction_error(model, few_digits.test.images)

    def on_cpu(tensor: torch.Tensor) -> torch.Tensor:
        seen.append(tensor.dtype)
        return tensor.cpu()

    monkeypatch.setattr("kanlib.training.evaluation.summable", on_cpu)
    assert reconstruction_error(model, few_digits.test.images) == expected
    assert set(seen) == {torch.float32}  # as it leaves the device


def test_batches_do_not_import_the_compiler():
    code = """
import sys, torch
from kanlib.training.batches import batches
batches(torch.sin, torch.rand(3, 1, 2, 2))
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
