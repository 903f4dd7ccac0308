"""What any autoencoder can have: centred inputs, and a linear path that starts at PCA."""

import pytest
import torch

from kanlib import PCA, Autoencoder, build_model, load
from kanlib.data import load_images
from kanlib.experiments import Run, execute

SHAPE = (1, 4, 5)
MODELS = ["mlp", "kan-shared", "cnn-dense", "kan-shared-conv"]


@pytest.fixture
def images():
    torch.manual_seed(0)
    return torch.rand(40, *SHAPE) * 2 - 1


@pytest.mark.parametrize("name", MODELS)
def test_a_centred_model_sees_images_minus_the_mean_of_those_it_is_trained_on(name, images):
    torch.manual_seed(1)
    plain = build_model(name, SHAPE, 3)
    torch.manual_seed(1)
    model = build_model(name, SHAPE, 3, centred=True)
    torch.testing.assert_close(model(images), plain(images))
    model.fit(images)
    torch.testing.assert_close(model(images), plain(images - images.mean(0)))


@pytest.mark.parametrize("name", MODELS)
def test_a_linear_path_starts_at_pca(name, images):
    model, pca = build_model(name, SHAPE, 3, linear_path=True), PCA(SHAPE, 3)
    for part in (model, pca):
        part.fit(images)
    torch.testing.assert_close(model.encode(images), pca.encode(images))
    torch.testing.assert_close(model(images), pca(images))
    model(images).square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_the_mean_comes_from_the_images_that_are_trained_on_and_is_kept(tmp_path):
    images = load_images("digits")
    options = {"hidden": 4, "epochs": 1, "centred": True, "linear_path": True}
    run = Run(model="mlp", bottleneck=3, validation=0.5, measured_on="validation", **options)
    result = execute(run, images).save(tmp_path)
    held_in = len(images.train) // 2
    mean = dict(result.model.named_buffers())["encoder.0.mean"]
    assert held_in < len(images.train)
    assert not torch.allclose(mean, images.train.images.mean(0))
    again = load(run.path(tmp_path))
    x = images.test.images[:5]
    with torch.no_grad():
        torch.testing.assert_close(again(x), result.model(x))


def test_parts_that_are_no_sequences_are_refused():
    model = Autoencoder(torch.nn.Flatten(), torch.nn.Unflatten(1, SHAPE))
    from kanlib.models.wrappers import with_centre

    with pytest.raises(ValueError, match=r"encoder must be an nn\.Sequential"):
        with_centre(model, SHAPE)
