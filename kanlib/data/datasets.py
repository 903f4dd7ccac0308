"""Images by name: bundled digits, torchvision's data sets, any folder of images; windows of series.

A name is looked for, in this order, as image folders ``<root>/<name>/{train,test}/<class>/*``, as
windows ``<root>/<name>/{train,test}.csv`` (see ``series.py``), as torchvision's own files in
``<root>``, and as torchvision's download into the cache folder. What is decoded once is kept there
as arrays, under a key made of its files' names, sizes and times.

A window of T values in C channels is an image of height 1, (C, 1, T). All that holds for images
holds for windows: one road from the files to the record, the same models, the same measures.
"""

import hashlib
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanlib.data import series, sources
from kanlib.data.cache import Decoded, digest, read, write
from kanlib.data.sources import Source


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1]; windows to test on may exceed it.
        labels: (N,) int64, 0 .. classes - 1.

    Raises:
        ValueError: there are no images, or a tensor has another shape or is of another kind.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
        if images.ndim != 4 or images.numel() == 0 or not images.is_floating_point():
            raise ValueError(
                f"images of shape {tuple(images.shape)} and {images.dtype} must be (N, C, H, W), "
                "none of them 0, and floating point"
            )
        if labels.shape != images.shape[:1] or labels.dtype != torch.int64:
            raise ValueError(
                f"labels of shape {tuple(labels.shape)} and {labels.dtype} must be "
                f"({len(images)},), one an image, and torch.int64"
            )

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Images:
    """A data set, held whole as tensors.

    Attributes:
        name: as asked for.
        train: to train on, and to fit classifiers on.
        test: to report on; no choice may depend on it.
        classes: names of the classes, in label order.
        fingerprint: SHA-256 of all values and labels.
    """

    name: str
    train: Split
    test: Split
    classes: tuple[str, ...]
    fingerprint: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of every image."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width

    def to(self, device: torch.device | str) -> "Images":
        """The same images on another device."""
        train, test = (
            Split(split.images.to(device), split.labels.to(device))
            for split in (self.train, self.test)
        )
        return replace(self, train=train, test=test)


def load_images(
    name: str = "digits", root: str | Path | None = None, cache: str | Path | None = None
) -> Images:
    """Find, decode (once) and check a data set.

    Args:
        name: "digits" (1,797 8 x 8 digits that scikit-learn bundles, split 4 : 1 by class with a
            fixed seed), "mnist", "cifar10", "svhn", "svhn-test10k" (10,000 digits of SVHN's test
            split), "folder" (``root`` itself holds train/<class>/ and test/<class>/), or the name
            of such a folder in ``root``. Windows of time series: "GunPoint", "ItalyPowerDemand" (by
            aeon), "series" (``root`` itself holds train.csv and test.csv: a window a row, a column
            ``label``, the others its values in time), or the name of such a folder in ``root``.
        root: where the data are; None: the environment variable ``KANLIB_DATA``.
        cache: where downloads and decoded arrays are kept; None: the user's cache folder.

    Returns:
        All images as float32 in [-1, 1], (x - 0.5) / 0.5 of pixels x in [0, 1]. Windows likewise,
        by the one affine map that takes the training values to [-1, 1].

    Raises:
        FileNotFoundError: no such data here, and none could be downloaded; says where it looked.
        ModuleNotFoundError: aeon is not installed.
        ValueError: the data are corrupt, incomplete or of mixed shapes; names the culprit.
    """
    if name == "digits":
        return _digits()
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise ValueError(f"dataset={name!r} must be the name of a data set, not a path; see root")
    cache = Path(cache or _user_cache())
    root = root or os.environ.get("KANLIB_DATA")
    folder = Path(root) if root else None
    source = series.find(name, folder) or sources.find(name, folder, cache)
    kept = cache / "decoded" / f"{name}-{source.key[:16]}"
    arrays, classes, hashes = read(kept) or _decode(name, source, kept)
    return Images(
        name,
        _to_split(arrays["train_images"], arrays["train_labels"]),
        _to_split(arrays["test_images"], arrays["test_labels"]),
        classes,
        _fingerprint(hashes),
    )


def _user_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("kanlib"))


def _digits() -> Images:
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch: Any = load_digits()
    pixels = (bunch.images[:, None] / 8 - 1).astype(np.float32)  # 0..16 -> [-1, 1]
    parts: list[Any] = train_test_split(
        pixels, bunch.target, test_size=0.2, random_state=0, stratify=bunch.target
    )
    train, test, train_labels, test_labels = (torch.from_numpy(part) for part in parts)
    return Images(
        "digits",
        Split(train, train_labels.long()),
        Split(test, test_labels.long()),
        tuple(str(digit) for digit in bunch.target_names),
        _fingerprint({str(i): digest(part) for i, part in enumerate(parts)}),
    )


def _to_split(images: NDArray[np.generic], labels: NDArray[np.generic]) -> Split:
    pixels = torch.from_numpy(images)
    if pixels.dtype == torch.uint8:
        pixels = pixels.float().div_(127.5).sub_(1)
    return Split(pixels, torch.from_numpy(labels))


def _decode(name: str, source: Source, target: Path) -> Decoded:
    """Decode, check and cache."""
    try:
        arrays, classes = source.decode()
    except Exception as error:  # whatever the decoder met, the user needs the place
        raise ValueError(f"dataset={name!r} in {source.where} cannot be read: {error}") from error
    counts = (len(arrays["train_labels"]), len(arrays["test_labels"]))
    if name in sources.KNOWN and counts != sources.KNOWN[name].counts:
        raise ValueError(
            f"dataset={name!r} in {source.where} is incomplete: it has {counts[0]} training and "
            f"{counts[1]} test images, must have {sources.KNOWN[name].counts}"
        )
    for split in ("train", "test"):
        if len(arrays[f"{split}_images"]) != len(arrays[f"{split}_labels"]):
            raise ValueError(f"dataset={name!r} in {source.where}: {split} labels are missing")
    hashes = {key: digest(array) for key, array in arrays.items()}
    try:
        write(target, arrays, classes, hashes)
    except OSError as error:
        warnings.warn(f"decoded images could not be kept in {target}: {error}", stacklevel=3)
    return arrays, classes, hashes


def _fingerprint(hashes: dict[str, str]) -> str:
    return hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
