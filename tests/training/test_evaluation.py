"""Metrics on points whose answers can be worked out in the head."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kanlib import build_model, count_parameters
from kanlib.data import Images, Split
from kanlib.models import Autoencoder
from kanlib.training import METRICS, evaluate, evaluation, knn_score, reconstruction_error
from kanlib.training.diagnostics import coverage_array, dead_units, picture_arrays


def line(*places: float) -> torch.Tensor:
    """Points on a line: (N, 1)."""
    return torch.tensor(places, dtype=torch.float32)[:, None]


def labels(*classes: int) -> torch.Tensor:
    return torch.tensor(classes)


TRAIN, TRAIN_LABELS = line(0, 1, 2, 10, 11, 12), labels(0, 0, 0, 1, 1, 1)


def test_accuracy_f1_and_confusion_are_those_done_by_hand():
    # Predicted 0, 0, 1, 1 where 0, 0, 0, 1 is true.
    score = knn_score(TRAIN, TRAIN_LABELS, line(0.4, 1.6, 10.4, 11.6), labels(0, 0, 0, 1))
    assert score.confusion == ((2, 1), (0, 1))  # row = true class
    assert score.accuracy == pytest.approx(3 / 4)
    # F1 of class 0: 2 x 1 x 2/3 / (1 + 2/3) = 4/5; of class 1: 2 x 1/2 x 1 / (1/2 + 1) = 2/3.
    assert score.f1 == pytest.approx((3 * 4 / 5 + 1 * 2 / 3) / 4)


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
    places = TRAIN.view(-1, 1, 1, 1)
    images = Images(
        "made up",
        Split(places, labels(1, 1, 1, 0, 0, 0)),
        Split(places, labels(0, 1, 0, 1, 0, 1)),
        ("zero", "one"),
        "",
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

    split = Split(torch.cat([TRAIN, TRAIN + 0.1]).view(-1, 1, 1, 1), TRAIN_LABELS.repeat(2))
    result: Any = evaluate(Forgetful(), Images("made up", split, split, ("zero", "one"), ""))
    assert result["leaky_knn_code"].accuracy == 1.0
    assert result["leaky_knn_reconstruction"].accuracy == 0.5


def test_a_real_model_is_scored_within_bounds(few_digits):
    model = build_model("pca", few_digits.shape, 10)
    model.fit(few_digits.train.images)  # pyright: ignore
    result: Any = evaluate(model, few_digits)
    assert 0.7 < result["knn"].accuracy <= 1
    assert sum(map(sum, result["knn"].confusion)) == len(few_digits.test)
    assert result["parameters"] == 10 * 64 + 64
    assert result["test_mse"] == pytest.approx(
        (model(few_digits.test.images) - few_digits.test.images).square().mean().item(), rel=1e-5
    )


@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize("where", ["fit_on", "test_on"])
def test_a_code_that_is_not_finite_is_refused(bad, where):
    points = {"fit_on": TRAIN, "test_on": line(1, 2)}
    points[where] = line(1, bad, 2)
    with pytest.raises(ValueError, match=f"{where}.*NaN"):
        knn_score(points["fit_on"], TRAIN_LABELS, points["test_on"], labels(0, 0))


def test_fewer_points_than_neighbours_are_refused():
    with pytest.raises(ValueError, match="fit_on has 2 points"):
        knn_score(line(0, 1), labels(0, 1), line(0), labels(0))


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1024])
def test_the_error_is_the_plain_mean_whatever_the_batch(batch_size):
    images = torch.rand(50, 3, 5, 4)
    model = Autoencoder(nn.Identity(), nn.Hardtanh(0.2, 0.6))
    plain = (images.clamp(0.2, 0.6) - images).double().square().mean().item()
    assert reconstruction_error(model, images, batch_size) == pytest.approx(plain, rel=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 1024])
def test_a_function_of_batches_is_the_function_of_all(batch_size):
    images = torch.rand(20, 1, 2, 3)
    doubled = evaluation.apply(lambda batch: 2 * batch.flatten(1), images, batch_size)
    assert torch.equal(doubled, 2 * images.flatten(1))


def test_pictures_are_taken_in_the_precision_of_the_model():
    split = Split(torch.rand(6, 1, 4, 4, dtype=torch.float64), torch.tensor([0, 1] * 3))
    images = Images("doubles", split, split, ("a", "b"), "")
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


def test_a_model_without_kan_layers_has_no_edges(few_digits):
    arrays = picture_arrays(build_model("mlp", few_digits.shape, 4), few_digits)
    assert sorted(arrays) == ["originals", "reconstructions"]


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
    assert coverage_array(build_model("mlp", few_digits.shape, 4), few_digits).shape == (0, 3)


def test_only_the_metrics_asked_for_are_measured(few_digits: Images):
    model = build_model("mlp", few_digits.shape, 4)
    assert evaluate(model, few_digits, ["parameters"]) == {"parameters": count_parameters(model)}
    assert evaluate(model, few_digits, []) == {}
    assert evaluate(model, few_digits).keys() == METRICS.keys()
    with pytest.raises(ValueError, match="'tset_mse'"):
        evaluate(model, few_digits, ["tset_mse"])


@pytest.mark.parametrize("made", [0.5, np.float32(0.5), torch.tensor(0.5), 3, np.int64(3)])
def test_a_number_of_any_library_is_a_metric(few_digits: Images, monkeypatch, made):
    monkeypatch.setitem(METRICS, "made", lambda _: made)
    found = evaluate(build_model("mlp", few_digits.shape, 4), few_digits, ["made"])["made"]
    assert found == float(made)
    assert type(found) is (int if found == 3 else float)


@pytest.mark.parametrize(
    "made", [float("nan"), np.float32(np.inf), None, "0.5", True, [0.5], torch.zeros(2)]
)
def test_what_is_no_finite_number_is_no_metric(few_digits: Images, monkeypatch, made):
    monkeypatch.setitem(METRICS, "made", lambda _: made)
    with pytest.raises(ValueError, match="made="):
        evaluate(build_model("mlp", few_digits.shape, 4), few_digits, ["made"])


def test_a_label_without_a_class_is_refused(few_digits: Images):
    few_classes = replace(few_digits, classes=few_digits.classes[:9])
    with pytest.raises(ValueError, match=r"images.train.* 9"):
        evaluate(build_model("mlp", few_digits.shape, 4), few_classes)
