"""Data sets by name: images, and windows of time series, as tensors.

A window of T values in C channels is an image of height 1, (C, 1, T). Models and metrics treat both
in the same way.

A new data set is one function and one line in ``DATASETS``. What is decoded from files is kept in
the cache, under a key made of the names, sizes and times of these files.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from kanlib.data.cache import Cached, array_hash, read_cached, write_cached
from kanlib.data.series import UCR, find_windows
from kanlib.data.sources import Arrays, Decoded, Source, Torchvision, digits, find_folder

_TEN_DIGITS = tuple("0123456789")
# The data sets by name. A function of no arguments returns the arrays and the names of the classes:
# {"train_images": .., "train_labels": .., "test_images": .., "test_labels": ..}, ("cat", "dog").
# Images are (N, C, H, W), uint8 from 0 to 255 or float32 from -1 to 1; labels are (N,) int64.
DATASETS: dict[str, Callable[[], Decoded] | Torchvision | UCR] = {
    "digits": digits,
    "mnist": Torchvision("MNIST", "MNIST/raw/*-ubyte", (60_000, 10_000), _TEN_DIGITS),
    "cifar10": Torchvision("CIFAR10", "cifar-10-batches-py/*", (50_000, 10_000)),
    "svhn": Torchvision(
        "SVHN",
        "t*_32x32.mat",
        (73_257, 26_032),
        _TEN_DIGITS,
        ({"split": "train"}, {"split": "test"}),
    ),
    # The first 10,000 digits of SVHN's test split, cut where the digits of a house end.
    "svhn-test10k": Torchvision(
        "SVHN", "test_32x32.mat", (7_999, 2_001), _TEN_DIGITS, ({"split": "test"},)
    ),
    "GunPoint": UCR((50, 150)),
    "ItalyPowerDemand": UCR((67, 1_029)),
}
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclass(frozen=True)
class Split:
    """Images and their labels.

    Attributes:
        images: (N, C, H, W) float32 in [-1, 1]; test windows may exceed it.
        labels: (N,) int64, from 0 to the number of classes - 1.

    Raises:
        ValueError: there are no images, or a tensor has another shape or dtype.
    """

    images: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        images, labels = self.images, self.labels
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
class Images:
    """A whole data set in memory.

    Attributes:
        name: by which it was loaded.
        train: for training, and for fitting classifiers.
        test: for reporting; no choice may depend on it.
        classes: the names of the classes, in the order of the labels.
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
    """Find a data set, decode it (once) and check it.

    A name is looked for as ``<root>/<name>/{train,test}.csv`` (windows), as image folders
    ``<root>/<name>/{train,test}/<class>/``, and then where its entry in ``DATASETS`` says. An entry
    that is a function is called at once. If a folder holds both, its image folders are taken.

    Args:
        name: a key of ``DATASETS``, such as "digits", "mnist", "cifar10", "svhn", "svhn-test10k",
            "GunPoint" or "ItalyPowerDemand"; or the name of a folder in ``root``. With "folder",
            ``root`` itself holds train/<class>/ and test/<class>/. With "series", ``root`` itself
            holds train.csv and test.csv: a window a row, with a column ``label`` and its values in
            the order of time in the others.
        root: where the data are. None: the environment variable ``KANLIB_DATA``.
        cache: where downloads and decoded arrays are kept. None: the user's cache folder.

    Returns:
        All images as float32 in [-1, 1]: (x - 0.5) / 0.5 for pixels x in [0, 1]. Windows are scaled
        by the affine map that takes the training values to [-1, 1].

    Raises:
        FileNotFoundError: the data set was not found and could not be downloaded. The message
            lists the places.
        ModuleNotFoundError: aeon is not installed.
        ValueError: the data are corrupt, incomplete or of mixed shapes. The message says where.
    """
    if name in ("", "..") or Path(name).name != name:
        raise ValueError(f"dataset={name!r} must be the name of a data set, not a path; see root")
    root = root or os.environ.get("KANLIB_DATA")
    cache = Path(cache or _user_cache())
    source = _find(name, Path(root) if root else None, cache)
    folder = cache / "decoded" / f"{name}-{source.key[:16]}" if source.key else None
    cached = read_cached(folder) if folder else None
    arrays, classes, hashes = cached or _decode(name, source, folder)
    fingerprint = hashlib.sha256("".join(hashes.values()).encode()).hexdigest()
    return Images(name, _split(arrays, "train"), _split(arrays, "test"), classes, fingerprint)


def _user_cache() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("kanlib"))


def _find(name: str, root: Path | None, cache: Path) -> Source:
    """The first place that holds the data set."""
    entry = DATASETS.get(name)
    if callable(entry):
        return Source(f"DATASETS[{name!r}]", entry)
    looked: list[str] = []
    source = find_windows(name, root)
    if source is None and isinstance(entry, UCR):
        source = entry.find(name)
    source = source or find_folder(name, root, looked)
    if source is None and isinstance(entry, Torchvision):
        source = entry.find(root, cache / "downloads" / name, looked)
    if source is not None:
        return source
    remedy = "connect to the network once to download it"
    if entry is None:
        remedy = f"use one of {', '.join(DATASETS)}"
    raise FileNotFoundError(
        f"dataset={name!r} was not found. Looked for:\n"
        + "".join(f"  - {place}\n" for place in looked)
        + f"Set KANLIB_DATA to the folder that holds it, or {remedy}."
    )


def _decode(name: str, source: Source, folder: Path | None) -> Cached:
    """Decode and check a data set, and keep it in ``folder``, if there is one."""
    place = f"dataset={name!r} in {source.where}"
    try:
        arrays, classes = source.decode()
        _check(arrays, classes)
    except Exception as error:  # a decoder may raise anything; the user needs the place
        raise ValueError(f"{place} cannot be read: {error}") from error
    entry, counts = DATASETS.get(name), (len(arrays["train_labels"]), len(arrays["test_labels"]))
    if isinstance(entry, Torchvision | UCR) and counts != entry.counts:
        raise ValueError(
            f"{place} is incomplete: it has {counts[0]} training and {counts[1]} test images, must "
            f"have {entry.counts}"
        )
    hashes = {key: array_hash(array) for key, array in arrays.items()}
    if folder:
        try:
            write_cached(folder, arrays, classes, hashes)
        except OSError as error:
            warnings.warn(f"decoded images could not be kept in {folder}: {error}", stacklevel=3)
    return arrays, classes, hashes


def _check(arrays: Arrays, classes: tuple[str, ...]) -> None:
    """Refuse what is not a training and a test split of one data set."""
    if set(arrays) != set(_ARRAYS):
        raise ValueError(f"arrays={list(arrays)} must be {list(_ARRAYS)}")
    shape = arrays["train_images"].shape[1:]
    for split in ("train", "test"):
        images, labels = arrays[f"{split}_images"], arrays[f"{split}_labels"]
        if images.shape[1:] != shape or images.dtype not in ("u1", "f4"):
            raise ValueError(
                f"{split}_images of shape {images.shape} and {images.dtype} must be uint8 or "
                f"float32; train_images have the shape {shape}"
            )
        _split(arrays, split)  # refuses what is no split
        if labels.min() < 0 or labels.max() >= len(classes):
            raise ValueError(
                f"{split}_labels from {labels.min()} to {labels.max()} must be from 0 to "
                f"{len(classes) - 1}: there are {len(classes)} classes"
            )


def _split(arrays: Arrays, name: str) -> Split:
    pixels = torch.from_numpy(arrays[f"{name}_images"])
    if pixels.dtype == torch.uint8:
        pixels = pixels.float().div_(127.5).sub_(1)
    return Split(pixels, torch.from_numpy(arrays[f"{name}_labels"]))
