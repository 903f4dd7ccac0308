"""What a trained autoencoder is worth: reconstruction error and nearest neighbours.

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

from kanlib.data.datasets import Images
from kanlib.models.autoencoder import Autoencoder, count_parameters
from kanlib.nn.bases import check_sizes


def check_images(model: Autoencoder, images: Images) -> None:
    """Refuse images before anything is computed with them.

    Raises:
        ValueError: a split has NaN or infinite values, or the model does not take and return
            images of its shape and dtype; names the split.
    """
    for name, pixels in (("train", images.train.images), ("test", images.test.images)):
        if not torch.stack(pixels.aminmax()).isfinite().all():  # needs no memory of their size
            raise ValueError(f"images.{name} has NaN or infinite values; there must be none")
        try:
            reconstruction_error(model, pixels[:1])
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"images.{name} of shape {tuple(pixels.shape)} and {pixels.dtype} must fit the "
                f"model: {error}"
            ) from error


def reconstruction_loss(model: Autoencoder, x: torch.Tensor) -> torch.Tensor:
    """Mean squared error over all pixels of one batch ``x`` (N, C, H, W), differentiable: ()."""
    return nn.functional.mse_loss(model(x), x)


@torch.inference_mode()
def reconstruction_error(model: Autoencoder, images: torch.Tensor, batch_size: int = 1024) -> float:
    """Mean squared error over all pixels of ``images`` (N, C, H, W), accumulated in float64.

    ``model`` is in eval mode afterwards.

    Raises:
        ValueError: see ``batches``; or the model returns images of another shape.
    """
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=images.device)
    for batch in batches(images, batch_size):
        made = model(batch)
        if made.shape != batch.shape:  # might be broadcast to a wrong number
            raise ValueError(
                f"model returns shape {tuple(made.shape)} for images of shape "
                f"{tuple(batch.shape)}; the two must be equal"
            )
        total += (made - batch).square_().sum(dtype=torch.float64)
    return total.item() / images.numel()


def batches(images: torch.Tensor, batch_size: int) -> tuple[torch.Tensor, ...]:
    """``images`` (N, ...) in parts of ``batch_size``, the last of which may be smaller.

    Raises:
        ValueError: there are no images, or ``batch_size`` is no integer >= 1.
    """
    if len(images) == 0:
        raise ValueError(f"images of shape {tuple(images.shape)} must be at least one")
    check_sizes("batches", batch_size=batch_size)
    return images.split(batch_size)


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
    """Score ``model`` on ``images``, on the device on which both are.

    Raises:
        ValueError: see ``check_images`` and ``knn_score``; or a label has no class.
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
        ValueError: see ``kanlib.training.evaluation.batches``.
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
