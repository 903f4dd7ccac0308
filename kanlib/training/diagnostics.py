"""What is noted of a model beside its scores: steps, grids, dead units, pictures."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.data.images import Images, Split
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.bases import BSpline
from kanlib.nn.grids import Layer, coverage
from kanlib.nn.hooks import watch
from kanlib.nn.linear import KANLinear
from kanlib.nn.rational import RationalLinear
from kanlib.training.batches import apply, batches
from kanlib.training.evaluation import to_numpy

EVERY = 10  # steps between two entries, unless said otherwise


class StepLog:
    """Loss and gradient of the steps of ``train``, to be passed as its ``on_step``.

    Args:
        every: steps between two entries, >= 1; the first step has one.

    Examples:
        >>> from kanlib import build_model
        >>> from kanlib.data import load_images
        >>> from kanlib.training import StepLog, TrainingConfig, train
        >>> images = load_images("digits")
        >>> model = build_model("kan", images.shape, 8)
        >>> log = StepLog(every=5)
        >>> _ = train(model, images, TrainingConfig(epochs=1), on_step=log, progress=False)
        >>> list(log.arrays())
        ['step_loss', 'gradient_norm']
    """

    def __init__(self, every: int = EVERY) -> None:
        self.every = every
        self._steps = 0
        # One block: a tensor kept at each step would part the memory that the next step takes
        # again, until gigabytes lie in pieces.
        self._entries: torch.Tensor | None = None  # (2, capacity)

    def __call__(self, model: nn.Module, loss: torch.Tensor) -> None:
        """Note the step that was just computed."""
        entry, rest = divmod(self._steps, self.every)
        self._steps += 1
        if rest:
            return
        if self._entries is None:
            self._entries = loss.new_empty(2, 1024)
        elif entry == self._entries.shape[1]:
            self._entries = torch.cat([self._entries, torch.empty_like(self._entries)], dim=1)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        self._entries[0, entry] = loss
        self._entries[1, entry] = nn.utils.get_total_norm(gradients)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """``step_loss`` and ``gradient_norm`` (Euclidean, of all parameters together), (entries,).

        Empty without steps.
        """
        if self._entries is None:
            return {}
        loss, norm = to_numpy(self._entries[:, : -(-self._steps // self.every)])
        return {"step_loss": loss, "gradient_norm": norm}

    def state(self) -> dict[str, Any]:
        """What ``restore`` takes."""
        return {"steps": self._steps, "entries": self._entries}

    def restore(self, state: dict[str, Any], device: torch.device) -> None:
        """Go on after the steps of a log with the same ``every``, on the device of the losses."""
        self._steps, entries = state["steps"], state["entries"]
        self._entries = None if entries is None else entries.to(device)


_EDGES = 12  # pictured, at most


def coverage_array(model: Autoencoder, images: Images) -> NDArray[np.generic]:
    """Where 1,000 training images and what becomes of them lie on the grids of the KAN layers.

    Returns:
        (layers, 3): fractions inside, fading and outside (``kanlib.coverage``) of the numbers that
        enter each KAN layer of B-splines, first to last; no rows where the model has none.
    """
    layers = (m for m in model.modules() if isinstance(m, Layer))
    if not any(isinstance(layer.basis, BSpline) for layer in layers):
        return np.empty((0, 3))
    pixels = images.train.images[:1000]
    found = np.zeros(())
    for batch in batches(model, pixels):
        met = coverage(model, batch).values()
        shares = np.array([(c.inside, c.fading, c.outside) for c in met])
        found = found + shares * (len(batch) / len(pixels))
    return found


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
    parts = batches(model, images.train.images)
    with watch(layers, note):
        for batch in parts:
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
    arrays = {"originals": originals, "reconstructions": apply(model, originals)}
    kinds = (KANLinear, RationalLinear)
    layer = next((m for m in model.encoder.modules() if isinstance(m, kinds)), None)
    if layer is not None:
        pixels = images.test.images[:256].flatten(1)  # (256, I)

        def edges(x: Tensor) -> Tensor:
            """Those into the first unit: (P, I)."""
            return layer.edge_functions(x, slice(0, 1))[:, 0]

        spread = apply(edges, pixels).std(0)  # (I,)
        inputs = spread.topk(min(_EDGES, len(spread))).indices
        points = torch.linspace(-1, 1, 101, device=pixels.device, dtype=pixels.dtype)
        arrays["edge_points"] = points
        arrays["edge_values"] = apply(lambda x: edges(x)[:, inputs], points[:, None]).T
        arrays["edge_inputs"] = inputs
    return {name: to_numpy(array) for name, array in arrays.items()}
