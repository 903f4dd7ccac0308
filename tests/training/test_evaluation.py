"""Metrics on points whose answers can be worked out in the head."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn import get_config
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors
from torch import nn

from kanlib import build_model, count_parameters
from kanlib.data import Images, Split
from kanlib.experiments import Run, execute
from kanlib.models import Autoencoder
from kanlib.training import (
    METRICS,
    TASK_METRICS,
    TrainingConfig,
    batches,
    evaluate,
    evaluation,
    knn_score,
    reconstruction_error,
    train,
)
from kanlib.training.evaluation import default_metrics


def line(*places: float) -> torch.Tensor:
    """Points on a line: (N, 1)."""
    return torch.tensor(places, dtype=torch.float32)[:, None]


def labels(*classes: int) -> torch.Tensor:
    return torch.tensor(classes)


TRAIN, TRAIN_LABELS = line(0, 1, 2, 10, 11, 12), labels(0, 0, 0, 1, 1, 1)


def test_neighbours_of_wide_points_are_searched_in_small_parts(monkeypatch):
    used = []

    def note(function: Any) -> Any:
        def noting(*arguments: Any, **options: Any) -> Any:
            used.append(get_config()["pairwise_dist_chunk_size"])
            return function(*arguments, **options)

        return noting

    monkeypatch.setattr(KNeighborsClassifier, "predict", note(KNeighborsClassifier.predict))
    points, classes = torch.randn(300, 40), torch.arange(300) % 3
    expected = knn_score(points, classes, points, classes)
    for budget in (16 * 40 * 70, 1):
        monkeypatch.setattr(evaluation, "MEMORY", budget)
        assert knn_score(points, classes, points, classes) == expected
    assert used == [256, 70, 20]
    monkeypatch.setattr(NearestNeighbors, "kneighbors", note(NearestNeighbors.kneighbors))
    split = Split(points.clamp(-1, 1).view(300, 1, 1, 40), classes)
    evaluate(Scaled(40), Images("wide", split, split, ("a", "b", "c")), ["test_recall"])
    assert used[3:] == [20, 20]


def test_accuracy_f1_and_confusion_are_those_done_by_hand():
    # Predicted 0, 0, 1, 1 where 0, 0, 0, 1 is true.
    score = knn_score(TRAIN, TRAIN_LABELS, line(0.4, 1.6, 10.4, 11.6), labels(0, 0, 0, 1))
    assert score.confusion == ((2, 1), (0, 1))  # row = true class
    assert score.accuracy == pytest.approx(3 / 4)
    # F1 of class 0: 2 x 1 x 2/3 / (1 + 2/3) = 4/5; of class 1: 2 x 1/2 x 1 / (1/2 + 1) = 2/3.
    assert score.f1 == pytest.approx((3 * 4 / 5 + 1 * 2 / 3) / 4)


def test_there_may_be_as_many_classes_as_images():
    many = torch.arange(40)
    assert knn_score(many[:, None], many, many[:, None], many, neighbours=1).accuracy == 1


def test_three_neighbours_vote():
    votes = knn_score(line(0, 1, 2, 3), labels(0, 1, 1, 0), line(0.1), labels(1))
    assert votes.accuracy == 1.0  # the nearest says 0, the next two 1
    assert votes.confusion == ((0, 0), (0, 1))  # a class that is not there keeps its row


class PlusOne(Autoencoder):
    """Code = pixel, reconstruction = pixel + 1."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Unflatten(1, (1, 1, 1)))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return super().decode(codes + 1)


def test_sound_and_leaky_neighbours_differ_as_worked_out():
    # Each test point has the two others of its trio beside it; so leaky, a trio's majority wins:
    # 0 0 0 | 1 1 1 where 0 1 0 | 1 0 1 is true. The training split says 1 1 1 | 0 0 0.
    places = (TRAIN / 16).view(-1, 1, 1, 1)
    images = Images(
        "made up",
        Split(places, labels(1, 1, 1, 0, 0, 0)),
        Split(places, labels(0, 1, 0, 1, 0, 1)),
        ("zero", "one"),
    )
    result: Any = evaluate(PlusOne(), images)
    assert result["test_mse"] == pytest.approx(1.0)
    assert result["parameters"] == 0
    assert result["knn"].confusion == ((1, 2), (2, 1))
    assert result["knn"].accuracy == pytest.approx(2 / 6)
    for leaky in (result["leaky_knn_code"], result["leaky_knn_reconstruction"]):
        assert leaky.confusion == ((2, 1), (1, 2))
        assert leaky.accuracy == pytest.approx(4 / 6)


def test_the_code_and_the_reconstruction_are_scored_each_for_itself():
    # A decoder that forgets everything leaves its neighbours no information.
    class Forgetful(PlusOne):
        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return super().decode(codes * 0)

    split = Split((torch.cat([TRAIN, TRAIN + 0.1]) / 16).view(-1, 1, 1, 1), TRAIN_LABELS.repeat(2))
    result: Any = evaluate(Forgetful(), Images("made up", split, split, ("zero", "one")))
    assert result["leaky_knn_code"].accuracy == 1.0
    assert result["leaky_knn_reconstruction"].accuracy == 0.5


def few(*rows: list[float]) -> Split:
    """Images of height 1, one a class."""
    return Split(torch.tensor(rows)[:, None, None], torch.arange(len(rows)))


class Scaled(Autoencoder):
    """Code = image, reconstruction = half of it."""

    def __init__(self, width: int) -> None:
        super().__init__(nn.Flatten(), nn.Unflatten(1, (1, 1, width)))

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        return super().decode(codes / 2)


def test_sparse_rows_are_measured_against_zeros_and_by_angles():
    rows = few([0.8, 0.0, 0.0], [0.0, 0.0, 0.4], [0.0, 0.0, 0.0])
    result: Any = evaluate(Scaled(3), Images("rows", rows, rows, ("a", "b", "c")))
    assert result["test_relative_error"] == pytest.approx(1 / 4)  # half of each value is lacking
    assert result["test_cosine"] == pytest.approx(2 / 3)  # the row of zeros has no direction
    # Nothing to compare with, yet a number that a record can hold.
    zeros = few(*[[0.0]] * 3)
    made: Any = evaluate(PlusOne(), Images("zeros", zeros, zeros, ("a", "b", "c")))
    assert np.isfinite(made["test_relative_error"])


def test_neighbours_by_angle_do_not_see_lengths():
    along, up = [[0.9, 0.01], [0.8, 0.0], [1.0, 0.0]], [[0.0, 0.1], [0.0, 0.2], [0.0, 0.1]]
    train = Split(torch.tensor(along + up)[:, None, None], labels(0, 0, 0, 1, 1, 1))
    test = Split(torch.tensor([[0.1, 0.0], [0.0, 1.0]])[:, None, None], labels(0, 1))
    result: Any = evaluate(
        Scaled(2), Images("rays", train, test, ("along", "up")), ["knn", "knn_cosine"]
    )
    assert result["knn"].accuracy < 1.0
    assert result["knn_cosine"].accuracy == 1.0


def test_a_code_of_zeros_is_at_a_right_angle_to_all():
    # Three of five votes: the three that lie 80 degrees away are nearer than the three zeros.
    near = [math.cos(math.radians(80)), math.sin(math.radians(80))]
    train = Split(
        torch.tensor([[0.0, 0.0]] * 3 + [near] * 3)[:, None, None], labels(0, 0, 0, 1, 1, 1)
    )
    test = Split(torch.tensor([[0.5, 0.0]] * 3)[:, None, None], labels(1, 1, 1))
    result: Any = evaluate(
        Scaled(2), Images("zeros", train, test, ("zero", "near")), ["knn_cosine"]
    )
    assert result["knn_cosine"].accuracy == 1.0


def test_points_without_neighbours_are_refused():
    for fit_on, test_on in (
        (line(0, torch.nan, 2), line(1)),
        (line(0, 1, 2), line(torch.inf)),
        (line(0, 1), line(1)),
    ):
        with pytest.raises(ValueError, match=r"NaN|infinity|n_neighbors"):
            knn_score(fit_on, labels(0, 1, 1)[: len(fit_on)], test_on, labels(0))


def test_the_error_is_the_plain_mean_over_all_batches():
    images = torch.rand(2500, 3, 2, 1)
    model = Autoencoder(nn.Identity(), nn.Hardtanh(0.2, 0.6))
    plain = (images.clamp(0.2, 0.6) - images).double().square().mean().item()
    assert reconstruction_error(model, images) == pytest.approx(plain, rel=1e-6)


def test_only_the_metrics_asked_for_are_measured(few_digits: Images):
    model = build_model("mlp", few_digits.shape, 4)
    assert evaluate(model, few_digits, ["parameters"]) == {"parameters": count_parameters(model)}
    assert evaluate(model, few_digits, []) == {}
    assert evaluate(model, few_digits).keys() == METRICS.keys()
    with pytest.raises(KeyError, match="'tset_mse'"):
        evaluate(model, few_digits, ["tset_mse"])


@pytest.mark.parametrize("made", [np.float32(0.5), torch.tensor(0.5), np.int64(3)])
def test_a_number_of_any_library_is_a_metric(few_digits: Images, monkeypatch, made):
    monkeypatch.setitem(METRICS, "made", lambda _: made)
    found = evaluate(build_model("mlp", few_digits.shape, 4), few_digits, ["made"])["made"]
    assert found == float(made)
    assert type(found) is (int if found == 3 else float)


@pytest.mark.parametrize(
    ("model", "images", "stated"),
    [
        (Autoencoder(nn.Flatten(), nn.Identity()), torch.rand(1, 1, 2), r"\(1, 2\).*\(1, 1, 2\)"),
        (nn.Identity(), torch.rand(0, 1, 8, 8), r"\(0, 1, 8, 8\)"),
    ],
    ids=["another shape", "no images"],
)
def test_an_error_that_would_be_wrong_is_refused(model, images, stated):
    with pytest.raises(ValueError, match=stated):
        reconstruction_error(model, images)


def spoilt(split: Split, value: float) -> Split:
    pixels = split.images.clone()
    pixels[-1, 0, 3, 4] = value
    return replace(split, images=pixels)


def padded(split: Split) -> Split:
    return replace(split, images=nn.functional.pad(split.images, (0, 0, 0, 1)))


UNFIT = {
    "nan": (lambda i: replace(i, train=spoilt(i.train, torch.nan)), "train images .*nan"),
    "infinite": (lambda i: replace(i, test=spoilt(i.test, -torch.inf)), "test images .*-inf"),
    "size": (lambda i: replace(i, test=padded(i.test)), r"test images .*\(60, 1, 9, 8\)"),
    "dtype": (
        lambda i: replace(i, train=replace(i.train, images=i.train.images.double())),
        "images.train .*torch.float64",
    ),
}


@pytest.mark.parametrize("kind", UNFIT)
@pytest.mark.parametrize("name", ["kan", "mlp", "pca"])
def test_images_that_do_not_fit_a_model_leave_it_as_it_is(few_digits: Images, name, kind):
    change, stated = UNFIT[kind]
    model = build_model(name, few_digits.shape, 4)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    with pytest.raises(ValueError, match=stated):
        train(model, change(few_digits), TrainingConfig(epochs=1))
    with pytest.raises(ValueError, match=stated):
        evaluate(model, change(few_digits))
    assert all(map(torch.equal, model.parameters(), before))


def test_tasks_take_memory_for_parts_of_the_images(monkeypatch):
    split = Split(torch.rand(50, 1, 20, 20), torch.arange(50) % 2)
    images = Images("even", split, split, ("a", "b"))
    model = build_model("mlp", images.shape, 4)
    seen: list[int] = []
    model.register_forward_hook(lambda _, inputs, __: seen.append(len(inputs[0])))
    expected: Any = evaluate(model, images, TASK_METRICS)
    assert max(seen) == 50
    seen.clear()
    monkeypatch.setattr(batches, "MEMORY", 2**17)
    monkeypatch.setattr(evaluation, "MEMORY", 2**17)
    assert evaluate(model, images, TASK_METRICS) == pytest.approx(expected)  # the same noise
    assert max(seen) < 50


def test_recall_is_the_share_of_near_images_that_near_codes_find():
    # Codes drop the second value, by which the last three images lie apart.
    rows = [[x / 10, 0.0] for x in range(6)] + [[x / 10, 1.0] for x in range(3)]
    split = Split(torch.tensor(rows)[:, None, None], torch.zeros(9, dtype=torch.int64))

    class First(Scaled):
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            return super().encode(images)[:, :1]

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return super().decode(codes.expand(-1, 2))

    images = Images("rows", split, split, ("all",))
    all_found: Any = evaluate(Scaled(2), images, ["test_recall"])
    some_found: Any = evaluate(First(2), images, ["test_recall"])
    assert all_found["test_recall"] == 1
    assert 0.3 < some_found["test_recall"] < 0.9


def test_denoising_is_held_against_the_clean_images(few_digits):
    size = few_digits.shape[-1]

    class Same(Scaled):
        def encode(self, images: torch.Tensor) -> torch.Tensor:
            return images.flatten(1)

        def decode(self, codes: torch.Tensor) -> torch.Tensor:
            return codes.unflatten(1, (1, size, size))

    black = Split(torch.full((40, 1, size, size), -1.0), torch.zeros(40, dtype=torch.int64))
    images = Images("black", black, black, ("all",))
    found: Any = evaluate(Same(1), images, TASK_METRICS)
    # Half of the noise on black is clipped; half of the replaced values become white.
    assert found["test_mse_gaussian"] == pytest.approx(0.2**2 / 2, rel=0.1)
    assert found["test_mse_salt_pepper"] == pytest.approx(0.025 * 4, rel=0.2)


def test_a_run_that_asks_for_tasks_has_them_in_its_record(few_digits):
    assert not TASK_METRICS.keys() & set(default_metrics(few_digits))
    run = Run(model="pca", bottleneck=3, tasks=True)
    record = execute(run, replace(few_digits, name="digits")).record
    assert record.evaluation.keys() == METRICS.keys() | TASK_METRICS.keys()
