"""What is held out of the training images, and that it takes the place of the test images."""

from dataclasses import replace

import pytest
import torch

from kanlib import build_model
from kanlib.data import Images, Split
from kanlib.training import TrainingConfig, TrainingDiverged, hold_out, train


def made_up(*labels: int) -> Images:
    """A training image for each label: its one pixel is its number, in hundredths."""
    pixels = torch.arange(len(labels), dtype=torch.float32).view(-1, 1, 1, 1) / 100
    split = Split(pixels, torch.tensor(labels))
    return Images("made up", split, split, ("a", "b"))


def test_each_image_is_in_one_part_and_each_class_has_its_share():
    images = made_up(*[0] * 30, *[1] * 10)
    parts = hold_out(images, 0.2, seed=3)
    sizes = [torch.bincount(split.labels).tolist() for split in (parts.train, parts.test)]
    assert sizes == [[24, 8], [6, 2]]
    for split in (parts.train, parts.test):
        places = (100 * split.images.flatten()).round().long()
        assert torch.equal(places.sort().values, places)
        assert torch.equal(images.train.labels[places], split.labels)
    both = torch.cat([parts.train.images, parts.test.images]).flatten()
    assert torch.equal(both.sort().values, images.train.images.flatten())


def test_the_seed_alone_chooses_what_is_held_out():
    images = made_up(*[0, 1] * 20)
    first, again, other = (hold_out(images, 0.5, seed).test.images for seed in (1, 1, 2))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_class_of_one_image_is_no_obstacle_but_nothing_to_train_on_is():
    parts = hold_out(made_up(0, 0, 0, 1), 0.5, seed=0)
    assert (len(parts.train), len(parts.test)) == (2, 2)
    with pytest.raises(ValueError, match=r"validation=0\.5 of 1"):
        hold_out(made_up(0), 0.5, seed=0)


def without_test(images: Images) -> Images:
    """Whoever reads a test image meets a NaN."""
    blind = replace(images, test=Split(images.test.images.clone(), images.test.labels))
    blind.test.images.fill_(torch.nan)
    return blind


@pytest.mark.parametrize("name", ["kan-pure", "pca"])
def test_training_is_that_on_the_rest_and_watches_what_is_held_out(few_digits: Images, name: str):
    parts = hold_out(few_digits, 0.25, seed=5)
    trained = []
    for images, fraction in ((without_test(few_digits), 0.25), (parts, None)):
        torch.manual_seed(0)
        model = build_model(name, few_digits.shape, 4)
        config = TrainingConfig(epochs=2, validation=fraction)
        trained.append((train(model, images, config, seed=5), model.state_dict()))
    (history, state), (plain, expected) = trained
    assert history.train_loss == plain.train_loss
    assert history.validation_loss == plain.test_loss and history.test_loss == []
    assert history.watched_loss == plain.watched_loss == plain.test_loss
    assert all(torch.equal(state[key], expected[key]) for key in expected)


def test_the_error_that_becomes_infinite_is_named(few_digits: Images):
    model = build_model("mlp", few_digits.shape, 4)
    config = TrainingConfig(learning_rate=1e30, epochs=1, batch_size=192, validation=0.5)
    with pytest.raises(TrainingDiverged, match="validation error"):
        train(model, few_digits, config)
