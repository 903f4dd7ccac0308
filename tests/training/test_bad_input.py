"""Bad input to training and evaluation is refused; the message names the argument and its value."""

# pyright: reportArgumentType=false
import math
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from kanlib.data import Images, Split
from kanlib.models import MODELS, Autoencoder, build_model
from kanlib.training import (
    StepLog,
    TrainingConfig,
    cpu,
    evaluate,
    evaluation,
    knn_score,
    preset,
    reconstruction_error,
    train,
)

SHAPE = (1, 8, 8)
MLP = build_model("mlp", SHAPE, 4)
POINTS = torch.rand(6, 2)
CLASSES = torch.tensor([0, 0, 0, 1, 1, 1])


def split(count: int = 6, shape: tuple[int, ...] = SHAPE) -> Split:
    return Split(torch.rand(count, *shape), torch.arange(count) % 2)


IMAGES = Images("made up", split(), split(), ("zero", "one"), "")
PIXELS = IMAGES.test.images


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("learning_rate", "1e-3"),
        ("learning_rate", True),
        ("weight_decay", None),
        ("decay", [0.8]),
        ("epochs", "10"),
    ],
)
def test_a_setting_of_another_type_is_named(name, value):
    with pytest.raises(ValueError, match=re.escape(f"{name}={value!r}")):
        TrainingConfig(**{name: value})


CASES: list[tuple[Callable[[], object], str]] = [
    (lambda: preset("authors", "KAN", "mnist"), "model='KAN'"),
    (lambda: StepLog(every=0), "every=0"),
    (lambda: reconstruction_error(MLP, PIXELS, 0), "batch_size=0"),
    (lambda: reconstruction_error(MLP, PIXELS, 2.0), "batch_size=2.0"),
    (lambda: reconstruction_error(MLP, PIXELS[:0]), r"\(0, 1, 8, 8\)"),
    (
        lambda: reconstruction_error(Autoencoder(nn.Flatten(), nn.Identity()), torch.rand(1, 1, 2)),
        r"\(1, 2\).*\(1, 1, 2\)",
    ),
    (lambda: evaluation.apply(nn.Identity(), POINTS, -1), "batch_size=-1"),
    (lambda: evaluate(MLP, replace(IMAGES, classes=("zero",))), r"labels .*\b1\b"),
    (lambda: knn_score(POINTS[:, 0], CLASSES, POINTS, CLASSES), r"fit_on .*\(6,\)"),
    (lambda: knn_score(POINTS, CLASSES[:5], POINTS, CLASSES), r"fit_labels .*\(5,\)"),
    (lambda: knn_score(POINTS, CLASSES, POINTS, CLASSES[:1]), r"test_labels .*\(1,\)"),
    (lambda: knn_score(POINTS, CLASSES / 2, POINTS, CLASSES), "fit_labels .*torch.float32"),
    (lambda: knn_score(POINTS, CLASSES, POINTS[:, :1], CLASSES), r"test_on .*\(6, 1\)"),
    (lambda: knn_score(POINTS, CLASSES, POINTS[:0], CLASSES[:0]), r"test_on .*\b0\b"),
]


@pytest.mark.parametrize(("call", "stated"), CASES, ids=[stated for _, stated in CASES])
def test_bad_input_is_named(call, stated):
    with pytest.raises(ValueError, match=stated):
        call()


def test_a_switch_that_is_not_true_or_false_is_refused():
    with pytest.raises(TypeError, match="enabled='false'"), cpu.fast_products("false"):
        pass


def spoilt(value: float, name: str) -> Images:
    pixels = torch.rand(6, *SHAPE)
    pixels[-1, 0, 3, 4] = value
    return replace(IMAGES, **{name: Split(pixels, CLASSES)})


OTHER = split(shape=(1, 9, 9))
UNFIT = {
    "nan": (spoilt(math.nan, "train"), "images.train .*NaN"),
    "infinite": (spoilt(-math.inf, "test"), "images.test .*infinite"),
    "another size": (replace(IMAGES, train=OTHER, test=OTHER), r"images.train .*\(6, 1, 9, 9\)"),
    "another size of the test split": (
        replace(IMAGES, test=split(shape=(3, 8, 8))),
        r"images.test .*\(6, 3, 8, 8\)",
    ),
    "float64": (
        replace(IMAGES, train=Split(IMAGES.train.images.double(), CLASSES)),
        "images.train .*torch.float64",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("model", MODELS)
def test_images_that_do_not_fit_a_model_leave_it_as_it_is(model, kind):
    images, stated = UNFIT[kind]
    fresh = build_model(model, SHAPE, 4)
    before = [parameter.detach().clone() for parameter in fresh.parameters()]
    with pytest.raises(ValueError, match=stated):
        train(fresh, images, TrainingConfig(epochs=1))
    with pytest.raises(ValueError, match=stated):
        evaluate(fresh, images)
    assert all(map(torch.equal, fresh.parameters(), before))
