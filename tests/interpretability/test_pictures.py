"""What is drawn is what the model does."""

import numpy as np
import pytest
import torch

from kanlib import KANLinear
from kanlib.experiments import load
from kanlib.interpretability import edge_spread, moments


def test_pictured_edges_are_those_of_the_layer(found, folder):
    arrays = found[0].arrays()
    model, pixel = load(found[0].run.path(folder)), int(arrays["pixel"])
    ends = {"encoder": (slice(None), pixel), "decoder": (pixel, slice(None))}
    for (part, chosen), name in zip(ends.items(), ("encoder.1", "decoder.0"), strict=True):
        layer, points = model.get_submodule(name), arrays[f"{part}_points"]
        assert isinstance(layer, KANLinear) and points.shape == (3, 101)
        x = np.zeros((101, layer.in_features), dtype=np.float32)
        x[:, chosen[1]] = points[0][:, None] if part == "decoder" else points[0]
        edges = layer.edge_functions(torch.from_numpy(x))[:, *chosen]
        expected = edges.detach().numpy()[:, 0]
        assert expected == pytest.approx(arrays[f"{part}_values"][0], abs=1e-6)


def test_a_line_is_the_best_one_on_the_training_images(found, folder, few_digits):
    arrays = found[0].arrays()
    layer, pixel = load(found[0].run.path(folder)).get_submodule("encoder.1"), int(arrays["pixel"])
    assert isinstance(layer, KANLinear)
    x = few_digits.train.images.flatten(1)
    edge = layer.edge_functions(x)[:, 0, pixel].detach().numpy()
    slope, shift = np.polyfit(x[:, pixel].numpy(), edge, 1)
    expected = slope * arrays["encoder_points"][0] + shift
    assert arrays["encoder_lines"][0] == pytest.approx(expected, abs=1e-5)


def test_the_pixel_is_the_one_whose_edges_vary_most(found, folder, few_digits):
    model = load(found[0].run.path(folder))
    layer = model.get_submodule("encoder.1")
    assert isinstance(layer, KANLinear)
    spread = edge_spread(layer, moments(model, few_digits.train.images)["encoder.1"])[1]
    assert spread.square().sum(0).argmax() == found[0].arrays()["pixel"]


def test_models_without_functions_on_edges_have_their_codes_alone(found):
    assert [set(analysis.arrays()) for analysis in found[2::2]] == [{"codes"}] * 3
