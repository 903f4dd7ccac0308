"""What a trained autoencoder is worth: reconstruction error and nearest neighbours.

Needs ``training.py``, and scikit-learn for the neighbours; ``results.py`` stores what comes out.

Two protocols, each under its own name. Sound: neighbours are fitted on the training split and
scored on the test split. Leaky, as in the authors' code (arXiv 2410.02077): fitted on the test
split and scored on the same points, each of which is then among its own three neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.autoencoders import Autoencoder, count_parameters
from kanlib.bases import BSpline
from kanlib.data import Images, Split
from kanlib.grids import coverage
from kanlib.layers import KANLinear
from kanlib.reconstruction import batches, check_images, reconstruction_error
from kanlib.watching import watch

NEIGHBOURS = 3  # as in the paper
_EDGES = 12  # pictured, at most


@dataclass(frozen=True)
class Score:
    """How well a classifier does on one split.

    Attributes:
        accuracy: fraction of images classified correctly, in [0, 1].
        f1: F1 score averaged over classes, weighted by their size, in [0, 1].
        confusion: counts; row = true class, column = predicted class.
    """

    accuracy: float
    f1: float
    confusion: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Evaluation:
    """Everything measured on a trained model.

    Attributes:
        test_mse: mean squared error over all pixels of the test split; pixels in [-1, 1].
        knn: sound, on the code.
        leaky_knn_code: leaky, on the code (as the authors score AE-CNN).
        leaky_knn_reconstruction: leaky, on the reconstructed images (as they score AE-KAN).
        parameters: numbers stored in the model.
    """

    test_mse: float
    knn: Score
    leaky_knn_code: Score
    leaky_knn_reconstruction: Score
    parameters: int


def evaluate(model: Autoencoder, images: Images) -> Evaluation:
    """Score ``model`` on ``images``, on the device on which both are.

    Raises:
        ValueError: see ``kanlib.reconstruction.check_images`` and ``knn_score``; or a label has no
            class.
    """
    check_images(model, images)
    train, test = images.train, images.test
    for name, labels in (("train", train.labels), ("test", test.labels)):
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= len(images.classes):
            raise ValueError(
                f"images.{name} has labels {low} to {high}, must have 0 to "
                f"{len(images.classes) - 1} for {len(images.classes)} classes"
            )
    codes = apply(model.encode, test.images)
    reconstructions = apply(model.forward, test.images).flatten(1)
    return Evaluation(
        test_mse=reconstruction_error(model, test.images),
        knn=knn_score(apply(model.encode, train.images), train.labels, codes, test.labels),
        leaky_knn_code=knn_score(codes, test.labels, codes, test.labels),
        leaky_knn_reconstruction=knn_score(
            reconstructions, test.labels, reconstructions, test.labels
        ),
        parameters=count_parameters(model),
    )


@torch.inference_mode()
def apply(function: Callable[[Tensor], Tensor], images: Tensor, batch_size: int = 1024) -> Tensor:
    """``function`` of ``images`` (N, ...), computed in batches.

    Raises:
        ValueError: see ``kanlib.reconstruction.batches``.
    """
    return torch.cat([function(batch) for batch in batches(images, batch_size)])


def knn_score(fit_on: Tensor, fit_labels: Tensor, test_on: Tensor, test_labels: Tensor) -> Score:
    """Three nearest neighbours (Euclidean), by scikit-learn.

    Args:
        fit_on: (N, D) points to search among.
        fit_labels: (N,) their classes.
        test_on: (P, D) points to classify.
        test_labels: (P,) their true classes.

    Raises:
        ValueError: fewer than three points to search among, none to classify, a point is NaN or
            infinite, or a tensor has another shape or is of another kind.
    """
    _check_points("fit", fit_on, fit_labels, least=NEIGHBOURS)
    _check_points("test", test_on, test_labels, least=1)
    if test_on.shape[1] != fit_on.shape[1]:
        raise ValueError(
            f"test_on of shape {tuple(test_on.shape)} must have as many columns as fit_on, "
            f"{fit_on.shape[1]}"
        )
    from sklearn.metrics import confusion_matrix, f1_score
    from sklearn.neighbors import KNeighborsClassifier

    neighbours = KNeighborsClassifier(NEIGHBOURS, algorithm="brute")
    neighbours.fit(_array(fit_on), fit_labels.cpu().numpy())
    truth, predicted = test_labels.cpu().numpy(), neighbours.predict(_array(test_on))
    # All classes, those too that are neither true nor predicted in this split.
    counts = confusion_matrix(truth, predicted, labels=np.union1d(truth, fit_labels.cpu().numpy()))
    return Score(
        accuracy=float((truth == predicted).mean()),
        f1=float(f1_score(truth, predicted, average="weighted")),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
    )


def _check_points(name: str, points: Tensor, labels: Tensor, least: int) -> None:
    """At least ``least`` points (N, D), all finite, and as many labels."""
    if points.ndim != 2:
        raise ValueError(f"{name}_on of shape {tuple(points.shape)} must be (N, D)")
    if len(points) < least:
        raise ValueError(f"{name}_on has {len(points)} points, must have at least {least}")
    if not points.isfinite().all():
        raise ValueError(f"{name}_on has NaN or infinite values; they have no neighbours")
    if labels.shape != points.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"{name}_labels of shape {tuple(labels.shape)} and {labels.dtype} must be "
            f"({len(points)},), one a point, and integers"
        )


def _array(points: Tensor) -> NDArray[np.generic]:
    """On the CPU, in a dtype that numpy has."""
    exact = points.float() if points.dtype == torch.bfloat16 else points
    return exact.detach().cpu().numpy()


def coverage_array(model: Autoencoder, images: Images) -> NDArray[np.generic]:
    """Where 1,000 training images and what becomes of them lie on the grids of the KAN layers.

    Returns:
        (layers, 3): fractions inside, fading and outside (``kanlib.coverage``) of the numbers that
        enter each KAN layer of B-splines, first to last; no rows where the model has none.
    """
    layers = (m for m in model.modules() if isinstance(m, KANLinear))
    if not any(isinstance(layer.basis, BSpline) for layer in layers):
        return np.empty((0, 3))
    met = coverage(model, images.train.images[:1000])
    return np.array([(c.inside, c.fading, c.outside) for c in met.values()])


@torch.inference_mode()
def dead_units(model: Autoencoder, images: Images) -> NDArray[np.generic]:
    """How many units of each ReLU layer are 0 for every training image, and so learn no more.

    Returns:
        (layers,) int64, in the order of the model; empty where there is no ReLU.
    """
    alive: dict[str, Tensor] = {}

    def note(name: str, _: nn.Module, x: Tensor) -> None:
        """Remember the units that were above 0."""
        alive[name] = alive.get(name, torch.tensor(False)) | (x > 0).any(0).cpu()

    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.ReLU)}
    with watch(layers, note):
        for batch in batches(images.train.images, 1024):
            model(batch)
    return np.array([int((~alive[name]).sum()) for name in layers], dtype=np.int64)


def first_of_each_class(split: Split) -> Tensor:
    """The first image of each class in ``split``, in the order of the labels: (N, C, H, W)."""
    labels = split.labels
    return split.images[[int((labels == label).nonzero()[0]) for label in labels.unique()]]


@torch.inference_mode()
def picture_arrays(model: Autoencoder, images: Images) -> dict[str, NDArray[np.generic]]:
    """What the figures need of a model, small enough to be kept beside its record.

    Args:
        model: trained.
        images: on the device of the model.

    Returns:
        ``originals`` and ``reconstructions``, (classes, C, H, W): the first test image of each
        class. If the encoder has a KAN layer, also ``edge_points`` (P,), ``edge_values``
        (edges, P) and ``edge_inputs`` (edges,): of the edges into its first unit, the twelve that
        vary most over 256 test images, strongest first.
    """
    originals = first_of_each_class(images.test)
    arrays = {"originals": originals, "reconstructions": model(originals)}
    layer = next((m for m in model.encoder.modules() if isinstance(m, KANLinear)), None)
    if layer is not None:
        pixels = images.test.images[:256].flatten(1)  # (256, I)
        unit = slice(0, 1)
        spread = layer.edge_functions(pixels, unit)[:, 0].std(0)  # (I,)
        inputs = spread.topk(min(_EDGES, len(spread))).indices
        points = torch.linspace(-1, 1, 101, device=pixels.device, dtype=pixels.dtype)
        arrays["edge_points"] = points
        arrays["edge_values"] = layer.edge_functions(points[:, None], unit)[:, 0, inputs].T
        arrays["edge_inputs"] = inputs
    return {name: _array(array) for name, array in arrays.items()}
