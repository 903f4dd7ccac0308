"""The paper's numbers: what is stored, and what is not there."""

import pytest

from kanlib.report import published

FOLDER = "results/published"


def test_the_elbow_of_mnist_has_the_published_points():
    elbow = published.load_elbow(FOLDER, "mnist").set_index("bottleneck")["test_mse"]
    assert len(elbow) == 31
    assert (elbow[34], elbow[159]) == (0.12273, 0.04427)


def test_the_papers_svhn_is_not_ours():
    assert published.label("mnist") == "AE-KAN, published"
    assert published.label("svhn-test10k") == "AE-KAN, published (all of SVHN)"


def test_a_dataset_without_a_published_figure_has_no_rows():
    assert published.load_elbow(FOLDER, "digits").empty
    assert published.load_confusion(FOLDER, "digits") is None


@pytest.mark.parametrize(
    ("dataset", "accuracy", "images"),
    [("mnist", 0.9791, 10_000), ("cifar10", 0.5344, 10_000), ("svhn", 0.6794, 26_032)],
)
def test_a_confusion_matrix_gives_the_published_accuracy(dataset, accuracy, images):
    matrix = published.load_confusion(FOLDER, dataset)
    assert matrix is not None
    counts = matrix.to_numpy()
    assert counts.sum() == images
    assert counts.trace() / images == pytest.approx(accuracy, abs=5e-5)
