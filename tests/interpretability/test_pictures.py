"""What is drawn is what the model does."""

import numpy as np
import pytest
import torch

from kanlib import KANLinear
from kanlib.experiments import load
from kanlib.interpretability.pictures import PICTURED
from kanlib.training.diagnostics import first_of_each_class


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


def test_the_pixel_is_the_one_whose_edges_vary_most(found):
    arrays = found[0].arrays()
    together = np.square(arrays["fields"]).sum((0, 1))  # (H, W)
    assert together.argmax() == arrays["pixel"]


def test_fewer_and_fewer_edges_are_pictured(found, few_digits):
    arrays = found[0].arrays()
    shown = first_of_each_class(few_digits.test).numpy()
    assert arrays["originals"] == pytest.approx(shown, abs=1e-3)
    made = arrays["reconstructions"].astype(float)
    assert made.shape == (len(PICTURED), *shown.shape)
    varies = made.std(1).mean((1, 2, 3))  # between images
    assert (np.diff(varies) < 0).all()


def test_a_tenth_of_all_edges_is_kept(found):
    kept = found[0].arrays()["fields_kept"]  # of the first of two layers of 192 edges
    assert kept.dtype == bool and 0 < kept.sum() <= round(0.1 * 2 * 192)


def test_models_without_such_edges_have_no_such_pictures(found):
    _, mlp, conv, pca = (set(analysis.arrays()) for analysis in found[::2])
    assert mlp == {"codes", "originals", "reconstructions"}
    assert conv == pca == {"codes"}
