"""A data set in memory: two splits of images and labels, checked.

A window of T values in C channels is an image of height 1, (C, 1, T); a document of V words is one,
too, (1, 1, V).
"""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from kanlib.data.cache import array_hash
from kanlib.data.sources import Arrays, Decoded, shown

_ROUNDING = 1e-5  # values may exceed [-1, 1] by so much


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1], see ``Images``.
        labels: (N,) int64, from 0 to the number of classes - 1.

    Raises:
        ValueError: there are no images, or a tensor has another shape or dtype.

    Examples:
        >>> import torch
        >>> from kanlib.data import Split
        >>> len(Split(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1])))
        2
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        for name, value in (("images", images), ("labels", labels)):
            if not isinstance(value, Tensor) or value.layout is not torch.strided:
                raise ValueError(f"{name} of {type(value)} must be a dense torch.Tensor")
        if images.ndim != 4 or images.numel() == 0 or not images.is_floating_point():
            raise ValueError(
                f"images of shape {tuple(images.shape)} and {images.dtype} must be (N, C, H, W), "
                "not empty, and floating point"
            )
        if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"labels of shape {tuple(labels.shape)} and {labels.dtype} must be "
                f"({len(images)},), one for each image, and torch.int64"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class _Loaded:
    """The tensors that a loader made, and the fingerprint of what it read."""

    fingerprint: str
    tensors: tuple[Tensor, ...]
    versions: tuple[int, ...]  # torch counts the changes in place


@dataclass(frozen=True)
class Images:
    """A whole data set in memory.

    Attributes:
        name: by which it was loaded.
        train: for training, and for fitting classifiers; from -1 to 1.
        test: for reporting; no choice may depend on it. From -1 to 1, which windows (H = 1) may
            exceed.
        classes: the names of the classes, in the order of the labels.
        notes: what the loader left out or changed, and what is odd, a sentence each.

    Raises:
        ValueError: the splits are of different shapes, values are out of range or NaN, a label has
            no class, two classes have one name.

    Examples:
        >>> import torch
        >>> from kanlib.data import Images, Split
        >>> split = Split(torch.zeros(2, 1, 4, 4), torch.tensor([0, 1]))
        >>> Images("mine", split, split, ("cat", "dog")).summary
        'mine: 2 training and 2 test images of 16 values (1, 4, 4), 2 classes'
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()
    _loaded: _Loaded | None = field(default=None, repr=False, compare=False, kw_only=True)

    def __post_init__(self) -> None:
        train, test = self.train.images, self.test.images
        if train.shape[1:] != test.shape[1:]:
            raise ValueError(
                f"test images of shape {tuple(test.shape)} must be (N, *{tuple(train.shape[1:])}), "
                "as the training images are"
            )
        check_classes(self.classes)
        for name, split in (("train", self.train), ("test", self.test)):
            _check_labels(name, split, self.classes)
            if not self._is_as_loaded() and (name == "train" or train.shape[2] > 1):
                _check_range(name, split.images)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    @property
    def summary(self) -> str:
        """One line on what is there."""
        return (
            f"{self.name}: {len(self.train)} training and {len(self.test)} test images of "
            f"{math.prod(self.shape)} values {self.shape}, {len(self.classes)} classes"
        )

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all values and labels.

        Of the values in the files (pixels from 0 to 255), as long as all tensors are those that
        were loaded. Else it is computed from the tensors.
        """
        if self._loaded and self._is_as_loaded():
            return self._loaded.fingerprint
        raw = (tensor.detach().cpu().contiguous().flatten() for tensor in self._tensors)
        return _combined(array_hash(tensor.view(torch.uint8).numpy()) for tensor in raw)

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.train.images, self.train.labels, self.test.images, self.test.labels

    def _is_as_loaded(self) -> bool:
        if self._loaded is None:
            return False
        pairs = zip(self._tensors, self._loaded.tensors, strict=True)
        same = all(tensor is loaded for tensor, loaded in pairs)
        return same and _versions(self._tensors) == self._loaded.versions

    def _as_loaded(self, fingerprint: str) -> "Images":
        """The same images, whose tensors hold the data of this fingerprint."""
        loaded = _Loaded(fingerprint, self._tensors, _versions(self._tensors))
        return replace(self, _loaded=loaded)

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device."""
        fingerprint = self.fingerprint
        train, test = (
            Split(split.images.to(device), split.labels.to(device))
            for split in (self.train, self.test)
        )
        return replace(self, train=train, test=test)._as_loaded(fingerprint)


def from_arrays(name: str, decoded: Decoded, hashes: Mapping[str, str]) -> Images:
    """Tensors of arrays that were checked."""
    splits = (_split(decoded.arrays, "train"), _split(decoded.arrays, "test"))
    images = Images(name, *splits, decoded.classes, decoded.notes)
    return images._as_loaded(_combined(hashes.values()))


def _combined(hashes: Iterable[str]) -> str:
    return hashlib.sha256("".join(hashes).encode()).hexdigest()


def _versions(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    """How often each was changed in place; for what is made in inference mode nobody counts."""
    return tuple(0 if tensor.is_inference() else tensor._version for tensor in tensors)


def check_classes(classes: tuple[str, ...]) -> None:
    """Refuse names that no record could hold, or that do not tell classes apart."""
    if not isinstance(classes, tuple):
        raise ValueError(f"classes={classes!r} must be a tuple of names")
    if wrong := [name for name in classes if not isinstance(name, str) or name != shown(name)]:
        raise ValueError(f"classes: {wrong[0]!r} must be text on one line, valid Unicode (NFC)")
    if len(set(classes)) < len(classes):
        twice = next(name for name in classes if classes.count(name) > 1)
        raise ValueError(f"classes: {twice!r} is there twice; each name must be there once")


def _check_labels(name: str, split: Split, classes: tuple[str, ...]) -> None:
    """Refuse labels without a class."""
    if split.labels.is_meta:  # it has no values
        return
    low, high = (int(end) for end in split.labels.aminmax())
    if low < 0 or high >= len(classes):
        raise ValueError(
            f"{name} labels from {low} to {high} must be from 0 to {len(classes) - 1}: there are "
            f"{len(classes)} classes"
        )


def _check_range(name: str, images: Tensor) -> None:
    """Refuse values that grids and outputs of models do not reach, or NaN."""
    if images.is_meta:
        return
    low, high = (end.item() for end in images.aminmax())
    if not max(-low, high) <= 1 + _ROUNDING:
        raise ValueError(
            f"{name} images with values from {low:g} to {high:g} must be in [-1, 1], without NaN; "
            "scale both splits by what takes the training values there"
        )


def _split(arrays: Arrays, name: str) -> Split:
    pixels = torch.from_numpy(arrays[f"{name}_images"])
    if pixels.dtype == torch.uint8:
        pixels = pixels.float().div_(127.5).sub_(1)
    elif pixels.dtype != torch.float32:
        raise ValueError(f"{name}_images of {pixels.dtype} must be uint8 or float32")
    return Split(pixels, torch.from_numpy(arrays[f"{name}_labels"]))
