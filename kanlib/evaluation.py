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
from torch import Tensor

from kanlib.autoencoders import Autoencoder, count_parameters
from kanlib.data import Images
from kanlib.layers import KANLinear
from kanlib.training import reconstruction_error

NEIGHBOURS = 3  # as in the paper


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
    """Score ``model`` on ``images``, on the device on which both are."""
    train, test = images.train, images.test
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
    """``function`` of ``images`` (N, ...), computed in batches."""
    return torch.cat([function(batch) for batch in images.split(batch_size)])


def knn_score(fit_on: Tensor, fit_labels: Tensor, test_on: Tensor, test_labels: Tensor) -> Score:
    """Three nearest neighbours (Euclidean), by scikit-learn.

    Args:
        fit_on: (N, D) points to search among.
        fit_labels: (N,) their classes.
        test_on: (P, D) points to classify.
        test_labels: (P,) their true classes.

    Raises:
        ValueError: fewer than three points to search among, or a point is NaN or infinite.
    """
    from sklearn.metrics import confusion_matrix, f1_score
    from sklearn.neighbors import KNeighborsClassifier

    if len(fit_on) < NEIGHBOURS:
        raise ValueError(f"fit_on has {len(fit_on)} points, must have at least {NEIGHBOURS}")
    for name, points in (("fit_on", fit_on), ("test_on", test_on)):
        if not points.isfinite().all():
            raise ValueError(f"{name} has NaN or infinite values; they have no neighbours")
    neighbours = KNeighborsClassifier(NEIGHBOURS, algorithm="brute")
    neighbours.fit(fit_on.cpu().numpy(), fit_labels.cpu().numpy())
    truth, predicted = test_labels.cpu().numpy(), neighbours.predict(test_on.cpu().numpy())
    # All classes, those too that are neither true nor predicted in this split.
    counts = confusion_matrix(truth, predicted, labels=np.union1d(truth, fit_labels.cpu().numpy()))
    return Score(
        accuracy=float((truth == predicted).mean()),
        f1=float(f1_score(truth, predicted, average="weighted")),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
    )


@torch.inference_mode()
def picture_arrays(
    model: Autoencoder, images: Images, edges: int = 12
) -> dict[str, NDArray[np.generic]]:
    """What the figures need of a model, small enough to be kept beside its record.

    Args:
        model: trained.
        images: on the device of the model.
        edges: number of edge functions.

    Returns:
        ``originals`` and ``reconstructions``, (classes, C, H, W): the first test image of each
        class. If the encoder has a KAN layer, also ``edge_points`` (P,), ``edge_values``
        (edges, P) and ``edge_inputs`` (edges,): of the edges into its first unit, those that vary
        most over 256 test images, strongest first.
    """
    first = [int((images.test.labels == c).nonzero()[0]) for c in images.test.labels.unique()]
    originals = images.test.images[first]
    arrays = {"originals": originals, "reconstructions": model(originals)}
    layer = next((m for m in model.encoder.modules() if isinstance(m, KANLinear)), None)
    if layer is not None:
        pixels = images.test.images[:256].flatten(1)  # (256, I)
        unit = slice(0, 1)
        spread = layer.edge_functions(pixels, unit)[:, 0].std(0)  # (I,)
        inputs = spread.topk(min(edges, len(spread))).indices
        points = torch.linspace(-1, 1, 101, device=pixels.device)
        arrays["edge_points"] = points
        arrays["edge_values"] = layer.edge_functions(points[:, None], unit)[:, 0, inputs].T
        arrays["edge_inputs"] = inputs
    return {name: array.cpu().numpy() for name, array in arrays.items()}
