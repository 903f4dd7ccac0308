"""What is timed: each function builds what one competitor needs and returns the call to repeat."""

import sys
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from benchmarks.cases import Case, Competitor
from benchmarks.competitors import LAYERS, MODELS
from kanlib.models import Autoencoder
from kanlib.training.cpu import Function
from kanlib.training.diagnostics import coverage_array, picture_arrays
from kanlib.training.evaluation import evaluate, reconstruction_error, reconstruction_loss

if TYPE_CHECKING:
    from kanlib.data import Images

Call = Callable[[], object]
Compiled = Callable[[Function], Function]  # or the function itself, for a competitor without it

STEPS = 938  # of an epoch of MNIST: 60,000 images, batch 64
PART = 94  # of these are timed in a round: a tenth


def layer_pass(
    case: Case, competitor: Competitor, device: str, compiled: Compiled, *, inner: bool = True
) -> Call:
    """Forward and backward of a layer, gradients allocated afresh as in training.

    An inner layer passes a gradient on to its input, a first layer does not.
    """
    sizes = (case.in_features, case.out_features, case.grid_size, case.spline_order)
    layer = LAYERS[competitor.name](*sizes).to(device)
    features = 1 + case.grid_size + case.spline_order if competitor.name == "dense limit" else 1
    x = torch.rand(case.batch, features * case.in_features, device=device) * 2 - 1
    x.requires_grad_(inner)
    grad = torch.randn(case.batch, case.out_features, device=device)
    outputs = compiled(_outputs)

    def call() -> None:
        layer.zero_grad(set_to_none=True)
        x.grad = None
        outputs(layer, x).backward(grad)

    return call


def training_step(case: Case, competitor: Competitor, device: str, compiled: Compiled) -> Call:
    """Forward, mean squared error, backward and AdamW on one batch of images.

    "authors": AdamW as it comes, and the loss read at each step; others as ``kanlib.training``.
    """
    model = _autoencoder(case, competitor, device)
    authors = competitor.name == "authors"
    x = _images(case, case.batch).to(device)
    fused = None if authors else True
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4, fused=fused)
    losses = torch.empty(1, device=device)
    loss_of = compiled(reconstruction_loss)

    def call() -> None:
        loss = loss_of(model, x)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if authors:
            loss.item()
        else:
            losses[0] = loss.detach()

    return call


def epoch_part(case: Case, competitor: Competitor, device: str, compiled: Compiled) -> Call:
    """A tenth of an epoch of MNIST (``PART`` steps), batches and a fresh optimizer included.

    "authors": torchvision's way, each image from PIL through two transforms in a ``DataLoader``;
    others: ``kanlib.training.train``, whose evaluation sees one batch.
    """
    from kanlib.data import Images, Split
    from kanlib.training import TrainingConfig, train

    count = PART * case.batch
    pixels = _mnist(case, count)
    model: Any = _autoencoder(case, competitor, device)
    if competitor.name == "authors":
        loader = DataLoader(_Pictures(pixels), batch_size=case.batch, shuffle=True)
        return lambda: _authors_epoch(model, loader, device)
    labels = torch.zeros(count, dtype=torch.int64)
    split, few = Split(pixels, labels), Split(pixels[: case.batch], labels[: case.batch])
    images = Images("mnist", split, few, ("0",)).to(device)
    config = TrainingConfig(epochs=1, batch_size=case.batch)
    return lambda: train(model, images, config, compiled=competitor.fast)


def inference(case: Case, competitor: Competitor, device: str, compiled: Compiled) -> Call:
    """Reconstruction of one batch of images, without gradients."""
    model = _autoencoder(case, competitor, device).eval()
    x = _images(case, case.batch).to(device)
    outputs = compiled(_outputs)

    @torch.inference_mode()
    def call() -> None:
        outputs(model, x)

    return call


@cache
def _wide(case: Case) -> "Images":
    """A batch to train on, and eight to test on; kept, as what is measured is not the data's."""
    from kanlib.data import Images, Split

    parts = [
        Split(_images(case, count), torch.arange(count) % 2)
        for count in (case.batch, 8 * case.batch)
    ]
    return Images("wide", *parts, ("a", "b"))


def measuring(
    case: Case, competitor: Competitor, device: str, _: Compiled, *, function: Callable[..., object]
) -> Call:
    """What is measured of a model, or drawn: ``function`` of it and of images."""
    model: Any = _autoencoder(case, competitor, device).eval()
    return partial(function, model, _wide(case).to(device))


def _test_error(model: Autoencoder, images: "Images") -> float:
    return reconstruction_error(model, images.test.images)


WORK: dict[str, Callable[[Case, Competitor, str, Compiled], Call]] = {
    "first layer": partial(layer_pass, inner=False),
    "inner layer": layer_pass,
    "step": training_step,
    "epoch": epoch_part,
    "inference": inference,
    "training step": training_step,
    "test error": partial(measuring, function=_test_error),
    "evaluation": partial(measuring, function=evaluate),
    "coverage": partial(measuring, function=coverage_array),
    "pictures": partial(measuring, function=picture_arrays),
}

_MILLISECONDS = ("ms", lambda seconds, case: 1e3 * seconds)
# Unit of the results, and the number in it from the seconds of a call.
UNITS: dict[str, tuple[str, Callable[[float, Case], float]]] = {
    "first layer": _MILLISECONDS,
    "inner layer": _MILLISECONDS,
    "step": _MILLISECONDS,
    "epoch": ("s", lambda seconds, case: STEPS / PART * seconds),
    "inference": ("images/s", lambda seconds, case: case.batch / seconds),
}


def _outputs(model: nn.Module, x: Tensor) -> Tensor:
    return model(x)


def _shape(case: Case) -> tuple[int, int, int]:
    return {784: (1, 28, 28), 3072: (3, 32, 32), 150528: (3, 224, 224)}[case.in_features]


def _autoencoder(case: Case, competitor: Competitor, device: str) -> nn.Module:
    return MODELS[competitor.name](_shape(case), case.out_features).to(device)


def _images(case: Case, count: int) -> Tensor:
    return torch.rand(count, *_shape(case)) * 2 - 1


def _mnist(case: Case, count: int) -> Tensor:
    """MNIST where it is at hand, else random pixels: (count, C, H, W) in [-1, 1]."""
    from kanlib.data import load_images

    try:
        return load_images("mnist").train.images[:count].clone()
    except FileNotFoundError as error:
        print(f"random pixels, because {error}", file=sys.stderr)
        return _images(case, count)


class _Pictures(Dataset[Tensor]):
    """Images decoded one by one, as ``torchvision.datasets.MNIST`` with the usual transform."""

    def __init__(self, pixels: Tensor) -> None:
        from torchvision import transforms

        self.pixels = pixels.add(1).mul(127.5).round().byte()[:, 0]  # (N, H, W)
        self.transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize((0.5,), (0.5,))]
        )

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Any:
        from PIL import Image

        return self.transform(Image.fromarray(self.pixels[index].numpy())), 0


def _authors_epoch(model: nn.Module, loader: Iterable[Any], device: str) -> float:
    """The authors' loop over ``loader``; returns the mean loss."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-4)
    total, steps = 0.0, 0
    for images, _ in loader:
        x = images.to(device)
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), x)
        loss.backward()
        optimizer.step()
        total, steps = total + loss.item(), steps + 1
    return total / steps
