"""What a trained autoencoder is worth: reconstruction error and nearest neighbours.

Two protocols, each under its own name. Sound: neighbours are fitted on the training split and
scored on the test split. Leaky, as in the authors' code (arXiv 2410.02077): fitted on the test
split and scored on the same points, each of which is then among its own three neighbours.
"""

import math
import warnings
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.data.images import Images
from kanlib.models.autoencoder import Autoencoder, count_parameters
from kanlib.strict import plain
from kanlib.training.batches import MEMORY, apply, batches, summable


def check_images(
    model: Autoencoder,
    images: Images,
    splits: Iterable[Literal["train", "test"]] = ("train", "test"),
) -> None:
    """Refuse images before anything is computed with them; splits not named are not read.

    Raises:
        ValueError: a split has NaN or infinite values, or the model does not take and return
            images of its shape and dtype; names the split.
    """
    for name in splits:
        split = images.train if name == "train" else images.test
        check_pixels(model, split.images, f"images.{name}")


def check_pixels(model: Autoencoder, pixels: Tensor, name: str) -> None:
    """Refuse ``pixels`` (N, C, H, W), as ``check_images`` does; ``name`` is what they are called.

    Raises:
        ValueError: there are NaN or infinite values, or the model does not take and return them.
    """
    if not torch.stack(pixels.aminmax()).isfinite().all():  # needs no memory of their size
        raise ValueError(f"{name} has NaN or infinite values; there must be none")
    try:
        reconstruction_error(model, pixels[:1])
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"{name} of shape {tuple(pixels.shape)} and {pixels.dtype} must fit the model: {error}"
        ) from error


def reconstruction_loss(model: Autoencoder, x: Tensor) -> Tensor:
    """Mean squared error over all pixels of one batch ``x`` (N, C, H, W), differentiable: ()."""
    return nn.functional.mse_loss(model(x), x)


@torch.inference_mode()
def reconstruction_error(model: Autoencoder, images: Tensor) -> float:
    """Mean squared error over all pixels of ``images`` (N, C, H, W), accumulated in float64.

    ``model`` is in eval mode afterwards.

    Raises:
        ValueError: there are no images, or the model returns images of another shape.

    Examples:
        >>> import torch
        >>> from kanlib import Autoencoder
        >>> from kanlib.training import reconstruction_error
        >>> copy = Autoencoder(torch.nn.Flatten(), torch.nn.Unflatten(1, (1, 8, 8)))
        >>> reconstruction_error(copy, torch.rand(5, 1, 8, 8))
        0.0
    """
    model.eval()

    def squares(batch: Tensor) -> Tensor:
        """Squared errors of a batch, in its shape."""
        made = model(batch)
        if made.shape != batch.shape:  # might be broadcast to a wrong number
            raise ValueError(
                f"model returns shape {tuple(made.shape)} for images of shape "
                f"{tuple(batch.shape)}; the two must be equal"
            )
        return (made - batch).square_()

    sums = (summable(squares(batch)).sum(dtype=torch.float64) for batch in batches(squares, images))
    return float(sum(sums)) / images.numel()


NEIGHBOURS = 3  # as in the paper
_BY_ANGLE = 5  # as is usual for texts


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


class Outputs:
    """What a trained model makes of a data set; each part is computed when a metric asks for it.

    Args:
        model: trained.
        images: the data, on the device of the model.

    Examples:
        >>> from kanlib import build_model
        >>> from kanlib.data import load_images
        >>> from kanlib.training import Outputs
        >>> images = load_images("digits")
        >>> model = build_model("kan", images.shape, 8)
        >>> Outputs(model, images).test_codes.shape
        torch.Size([360, 8])
    """

    def __init__(self, model: Autoencoder, images: Images) -> None:
        self.model = model
        self.images = images

    @cached_property
    def train_codes(self) -> Tensor:
        """Of the training images, (N, bottleneck)."""
        return apply(self.model.encode, self.images.train.images)

    @cached_property
    def test_codes(self) -> Tensor:
        """Of the test images, (P, bottleneck)."""
        return apply(self.model.encode, self.images.test.images)

    @cached_property
    def test_reconstructions(self) -> Tensor:
        """Of the test images, (P, C H W)."""
        return apply(self.model.forward, self.images.test.images).flatten(1)


def test_mse(outputs: Outputs) -> float:
    """Mean squared error over all pixels of the test split; pixels in [-1, 1]."""
    return reconstruction_error(outputs.model, outputs.images.test.images)


def test_relative_error(outputs: Outputs) -> float:
    """Squared error on the test split over that of a model that always returns zeros.

    Where a row is mostly zeros, as of a text, the mean squared error is tiny and says little.
    """
    truth = outputs.images.test.images
    zeros = truth.square().sum(dtype=torch.float64).item()
    # The smallest number keeps images of nothing but zeros from a division by zero.
    return test_mse(outputs) * truth.numel() / max(zeros, torch.finfo(torch.float64).eps)


def test_cosine(outputs: Outputs) -> float:
    """Cosine of the angle between a test image and its reconstruction, the mean, in [-1, 1].

    It is 0 where one of the two is zero.
    """
    made, truth = outputs.test_reconstructions, outputs.images.test.images.flatten(1)
    return nn.functional.cosine_similarity(made, truth).mean(dtype=torch.float64).item()


def knn(outputs: Outputs) -> Score:
    """Sound: the neighbours of a test image's code are searched among the training images."""
    train, test = outputs.images.train, outputs.images.test
    classes = len(outputs.images.classes)
    return knn_score(outputs.train_codes, train.labels, outputs.test_codes, test.labels, classes)


def knn_cosine(outputs: Outputs) -> Score:
    """As ``knn``, with five neighbours by the angle between codes, or fewer if there are fewer."""
    train, test = outputs.images.train, outputs.images.test
    codes = (_directions(outputs.train_codes), _directions(outputs.test_codes))
    classes, voters = len(outputs.images.classes), min(_BY_ANGLE, len(train))
    return knn_score(codes[0], train.labels, codes[1], test.labels, classes, voters)


def _directions(codes: Tensor) -> Tensor:
    """Codes (N, D) at length 1, (N, D + 1): their distances rank as the angles do.

    A code of zeros has no direction. It gets an axis of its own, at a right angle to all others.
    """
    zero = (codes == 0).all(1, keepdim=True)
    return torch.cat([nn.functional.normalize(codes), zero.to(codes.dtype)], 1)


_RETRIEVED = 5  # as in arXiv 2501.00420
_NOISE, _REPLACED = 0.2, 0.05


def test_recall(outputs: Outputs) -> float:
    """Retrieval: of the five test images nearest to one, the share that its code finds, in [0, 1].

    The code finds the five test images with the nearest codes. Distances are Euclidean.
    """
    from sklearn.neighbors import NearestNeighbors

    points = (outputs.images.test.images.flatten(1), outputs.test_codes)
    count = min(_RETRIEVED, len(points[0]) - 1)
    search = NearestNeighbors(n_neighbors=count, algorithm="brute")
    with _in_parts(points[0]):
        near, found = (search.fit(to_numpy(p)).kneighbors(return_distance=False) for p in points)
    return float((near[:, :, None] == found[:, None, :]).any(2).mean())


def test_mse_gaussian(outputs: Outputs) -> float:
    """Denoising: error against the clean test images, from Gaussian noise of s.d. 0.2 on them."""
    return _denoised(outputs, torch.randn, lambda x, drawn: (x + _NOISE * drawn).clamp_(-1, 1))


def test_mse_salt_pepper(outputs: Outputs) -> float:
    """Denoising: likewise, with one value in twenty replaced by -1 or 1."""

    def salted(x: Tensor, drawn: Tensor) -> Tensor:
        """Half of them -1, half 1."""
        black, white = drawn < _REPLACED / 2, drawn > 1 - _REPLACED / 2
        return x.masked_fill(black, -1).masked_fill_(white, 1)

    return _denoised(outputs, torch.rand, salted)


@torch.no_grad()
def _denoised(
    outputs: Outputs, draw: Callable[..., Tensor], spoil: Callable[[Tensor, Tensor], Tensor]
) -> float:
    """Error against the clean test images of what the model makes of spoilt ones."""
    generator = torch.Generator().manual_seed(0)
    model, images = outputs.model.eval(), outputs.images.test.images

    def squares(part: Tensor, drawn: Tensor) -> Tensor:
        return (model(spoil(part, drawn.to(part))) - part).square_()

    total = 0.0
    for part in batches(lambda part: squares(part, part.clone()), images):
        # Image by image: so the noise does not depend on the batches.
        drawn = torch.stack([draw(image.shape, generator=generator) for image in part])
        total += summable(squares(part, drawn)).sum(dtype=torch.float64).item()
    return total / images.numel()


def leaky_knn_code(outputs: Outputs) -> Score:
    """Leaky, on the code, as the authors score AE-CNN."""
    codes, labels = outputs.test_codes, outputs.images.test.labels
    return knn_score(codes, labels, codes, labels, len(outputs.images.classes))


def leaky_knn_reconstruction(outputs: Outputs) -> Score:
    """Leaky, on the reconstructed images, as the authors score AE-KAN."""
    made, labels = outputs.test_reconstructions, outputs.images.test.labels
    return knn_score(made, labels, made, labels, len(outputs.images.classes))


def parameters(outputs: Outputs) -> int:
    """Numbers stored in the model."""
    return count_parameters(outputs.model)


Value = int | float | Score
Metric = Callable[[Outputs], Value]
# All that is measured on a trained model. A new metric is one function, and one line here; records
# made before it lack it.
METRICS: dict[str, Metric] = {
    "test_mse": test_mse,
    "knn": knn,
    "leaky_knn_code": leaky_knn_code,
    "leaky_knn_reconstruction": leaky_knn_reconstruction,
    "parameters": parameters,
}
# Measured as well where most values are zeros, as in the word weights of texts.
SPARSE_METRICS: dict[str, Metric] = {
    "test_relative_error": test_relative_error,
    "test_cosine": test_cosine,
    "knn_cosine": knn_cosine,
}
# Measured where a run asks for it: what else codes are used for.
TASK_METRICS: dict[str, Metric] = {
    "test_recall": test_recall,
    "test_mse_gaussian": test_mse_gaussian,
    "test_mse_salt_pepper": test_mse_salt_pepper,
}


def evaluate(
    model: Autoencoder, images: Images, metrics: Iterable[str] | None = None
) -> dict[str, Value]:
    """Measure ``model`` on ``images``, on the device on which both are.

    Args:
        model: trained.
        images: the data.
        metrics: names of ``METRICS``, ``SPARSE_METRICS`` or ``TASK_METRICS``; None: all of the
            first, and of the second if most values of the training images are zeros.

    Returns:
        Name of each metric -> its value.

    Raises:
        KeyError: there is no such metric.
        ValueError: see ``check_images``; or a metric failed, or is no finite number or ``Score``.

    Examples:
        >>> from kanlib import build_model
        >>> from kanlib.data import load_images
        >>> from kanlib.training import evaluate
        >>> images = load_images("digits")
        >>> model = build_model("kan", images.shape, 8)
        >>> evaluate(model, images, ["parameters"])
        {'parameters': 10384}
    """
    check_images(model, images)
    outputs = Outputs(model, images)
    known = METRICS | SPARSE_METRICS | TASK_METRICS
    if metrics is None:
        metrics = default_metrics(images)
    return {name: _measured(name, known[name], outputs) for name in metrics}


def default_metrics(images: Images) -> list[str]:
    """What ``evaluate`` measures where no metric is named."""
    values = images.train.images
    sparse = 2 * torch.count_nonzero(values).item() < values.numel()
    return [*METRICS, *(SPARSE_METRICS if sparse else ())]


def _measured(name: str, metric: Metric, outputs: Outputs) -> Value:
    """A metric as a record can hold it: numbers of numpy and torch become Python's."""
    try:
        value = plain(metric(outputs))
    except Exception as error:  # a metric of one's own may raise anything
        raise ValueError(f"metric={name!r} failed: {type(error).__name__}: {error}") from error
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (math.isfinite(value) if number else isinstance(value, Score)):
        raise ValueError(f"metric={name!r} is {value!r}; must be a finite number or a Score")
    return value


def knn_score(
    fit_on: Tensor,
    fit_labels: Tensor,
    test_on: Tensor,
    test_labels: Tensor,
    classes: int | None = None,
    neighbours: int = NEIGHBOURS,
) -> Score:
    """The nearest neighbours (Euclidean) vote, by scikit-learn.

    Args:
        fit_on: (N, D) points to search among.
        fit_labels: (N,) their classes.
        test_on: (P, D) points to classify.
        test_labels: (P,) their true classes.
        classes: how many there are, which the confusion then has all; None: those in the labels.
        neighbours: how many vote, >= 1.

    Raises:
        ValueError: scikit-learn refuses the points. There are fewer than ``neighbours`` to search
            among or none to classify, one is NaN or infinite, or a tensor has another shape.

    Examples:
        >>> import torch
        >>> from kanlib.training import knn_score
        >>> points, labels = torch.tensor([[0.0], [1.0]]), torch.tensor([0, 1])
        >>> knn_score(points, labels, points + 0.1, labels, neighbours=1)
        Score(accuracy=1.0, f1=1.0, confusion=((1, 0), (0, 1)))
    """
    from sklearn.metrics import confusion_matrix, f1_score
    from sklearn.neighbors import KNeighborsClassifier

    voters = KNeighborsClassifier(neighbours, algorithm="brute")
    with _in_parts(fit_on), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The number of unique classes")  # there may be many
        voters.fit(to_numpy(fit_on), to_numpy(fit_labels))
        truth, predicted = to_numpy(test_labels), voters.predict(to_numpy(test_on))
        # All classes, those too that are neither true nor predicted in this split.
        known = np.union1d(truth, to_numpy(fit_labels)) if classes is None else np.arange(classes)
        counts = confusion_matrix(truth, predicted, labels=known)
        f1 = f1_score(truth, predicted, average="weighted")
    return Score(
        accuracy=float((truth == predicted).mean()),
        f1=float(f1),
        confusion=tuple(tuple(int(n) for n in row) for row in counts),
    )


def _in_parts(points: Tensor) -> AbstractContextManager[None]:
    """scikit-learn searches among ``points`` (N, D) in parts that memory has room for."""
    from sklearn import config_context

    # Two parts of the points become float64 at a time. scikit-learn takes 20 at least.
    part = min(256, max(20, MEMORY // (16 * points.shape[1])))
    return config_context(pairwise_dist_chunk_size=part)


def to_numpy(tensor: Tensor) -> NDArray[np.generic]:
    """The tensor as an array, in a dtype that numpy has."""
    exact = tensor.float() if tensor.dtype == torch.bfloat16 else tensor
    return exact.detach().cpu().numpy()
