"""Where data sets are found and how they are decoded to arrays."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

# {train,test}_images (N, C, H, W), uint8 or float32 in its final scale; _labels (N,) int64
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class Known:
    """A published data set: images in each split, torchvision's class, its files and its splits."""

    counts: tuple[int, int]
    torchvision: str = ""
    files: str = ""
    splits: tuple[str, ...] = ("train", "test")


KNOWN = {
    "mnist": Known((60_000, 10_000), "MNIST", "MNIST/raw/*-ubyte"),
    "cifar10": Known((50_000, 10_000), "CIFAR10", "cifar-10-batches-py/*"),
    "svhn": Known((73_257, 26_032), "SVHN", "t*_32x32.mat"),
    # The first 10,000 digits of SVHN's test split, cut where a house ends.
    "svhn-test10k": Known((7_999, 2_001), "SVHN", "test_32x32.mat", ("test",)),
    "GunPoint": Known((50, 150)),  # this and the next: windows of the UCR archive, see series.py
    "ItalyPowerDemand": Known((67, 1_029)),
}


@dataclass(frozen=True)
class Source:
    """Where a data set was found, and how to decode it."""

    where: str
    key: str
    decode: Callable[[], tuple[Arrays, tuple[str, ...]]]


def find(name: str, root: Path | None, cache: Path) -> Source:
    """The first place that holds ``name``; downloads as a last resort."""
    looked: list[str] = []
    if root is None:
        looked.append("KANLIB_DATA is not set, and no root was given")
    elif not root.is_dir():
        raise FileNotFoundError(f"root={str(root)!r} (or KANLIB_DATA) is not a folder")
    else:
        folder = root if name == "folder" else root / name
        if (folder / "train").is_dir() and (folder / "test").is_dir():
            files = (p for split in ("train", "test") for p in (folder / split).rglob("*"))
            return Source(str(folder), files_key(folder, files), partial(_decode_folders, folder))
        looked.append(f"{folder}/train/<class>/ and {folder}/test/<class>/")
        if name != "folder":
            looked.append(f"{folder}/train.csv and {folder}/test.csv, of windows")
    known = KNOWN.get(name)
    if known and known.torchvision:
        download = cache / "downloads" / name
        for place in filter(None, (root, download)):
            files = list(place.glob(known.files))
            if files:
                return Source(
                    str(place), files_key(place, files), partial(_decode_torchvision, known, place)
                )
            looked.append(f"{place}/{known.files}")
        reason = _download(known, download)
        if reason is None:
            return find(name, None, cache)
        looked.append(f"torchvision's download ({reason})")
    remedy = (
        "or connect to the network once to download it"
        if known and known.torchvision
        else f"or use one of digits, {', '.join(KNOWN)}"
    )
    raise FileNotFoundError(
        f"dataset={name!r} was not found. Looked for:\n"
        + "".join(f"  - {place}\n" for place in looked)
        + f"Set KANLIB_DATA to the folder that holds it, {remedy}."
    )


def _download(known: Known, target: Path) -> str | None:
    """Download into the folder ``target``; returns why it failed, or None."""
    import torchvision

    dataset = getattr(torchvision.datasets, known.torchvision)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Into a folder of its own, then renamed: a broken download is never taken for the data.
    unfinished = tempfile.mkdtemp(dir=target.parent, prefix="partial-")
    try:
        for arguments in _torchvision_splits(known):
            dataset(unfinished, download=True, **arguments)
        os.chmod(unfinished, 0o755)  # mkdtemp makes it private
        os.replace(unfinished, target)
    except (OSError, RuntimeError) as error:
        if list(target.glob(known.files)):  # another process was faster
            return None
        return f"{type(error).__name__}: {error}".splitlines()[0]
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return None


def _torchvision_splits(known: Known) -> list[dict[str, object]]:
    if known.torchvision == "SVHN":
        return [{"split": split} for split in known.splits]
    return [{"train": split == "train"} for split in known.splits]


def _decode_torchvision(known: Known, root: Path) -> tuple[Arrays, tuple[str, ...]]:
    import torchvision

    arrays: Arrays = {}
    classes: tuple[str, ...] = ()
    for split, arguments in zip(known.splits, _torchvision_splits(known), strict=True):
        try:
            # CIFAR-10's files are pickles: torchvision opens none before all have the published
            # MD5, and what else it unpickles (an old MNIST), with weights_only.
            data = getattr(torchvision.datasets, known.torchvision)(str(root), **arguments)
        except RuntimeError as error:  # its advice is for callers of torchvision
            raise ValueError(
                f"of {known.files}, a file is missing or is not the published one"
            ) from error
        pixels = np.asarray(data.data, dtype=np.uint8)
        if known.torchvision == "MNIST":
            pixels = pixels[:, None]  # (N, H, W) -> (N, 1, H, W)
        elif known.torchvision == "CIFAR10":
            pixels = pixels.transpose(0, 3, 1, 2)  # (N, H, W, C) -> (N, C, H, W)
        labels = data.labels if known.torchvision == "SVHN" else data.targets
        arrays[f"{split}_images"] = np.ascontiguousarray(pixels)
        arrays[f"{split}_labels"] = np.asarray(labels, dtype=np.int64)
        named = data.classes if known.torchvision == "CIFAR10" else range(10)
        classes = tuple(str(c) for c in named)
    return arrays if "train" in known.splits else _cut(arrays, known.counts), classes


def _cut(arrays: Arrays, counts: tuple[int, int]) -> Arrays:
    """The first test images to train on, the next to test on; by class, as in image folders."""
    labels, parts = arrays["test_labels"], {}
    for split, start, count in zip(("train", "test"), (0, counts[0]), counts, strict=True):
        order = start + np.argsort(labels[start : start + count], kind="stable")
        for kind in ("images", "labels"):
            parts[f"{split}_{kind}"] = arrays[f"test_{kind}"][order]
    return parts


def _decode_folders(folder: Path) -> tuple[Arrays, tuple[str, ...]]:
    from torchvision.datasets import ImageFolder

    arrays: Arrays = {}
    found: list[list[str]] = []
    for split in ("train", "test"):
        data = ImageFolder(str(folder / split))
        found.append(data.classes)
        pixels: list[NDArray[np.uint8]] = []
        for path, _ in data.samples:
            image = _read_image(path)
            if pixels and image.shape != pixels[0].shape:
                raise ValueError(
                    f"{path} has shape (C, H, W) = {image.shape}, but {data.samples[0][0]} has "
                    f"{pixels[0].shape}; all images must have one size and colour mode"
                )
            pixels.append(image)
        arrays[f"{split}_images"] = np.stack(pixels)
        arrays[f"{split}_labels"] = np.asarray(data.targets, dtype=np.int64)
    if found[0] != found[1]:
        raise ValueError(f"{folder}: train has classes {found[0]}, test has {found[1]}")
    if arrays["train_images"].shape[1:] != arrays["test_images"].shape[1:]:
        raise ValueError(
            f"{folder}: train images have shape {arrays['train_images'].shape[1:]}, "
            f"test images {arrays['test_images'].shape[1:]}"
        )
    return arrays, tuple(found[0])


def _read_image(path: str) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":  # Pillow would cut these off at 255
                raise ValueError(f"{path} has more than 8 bits a pixel; convert it to 8 bits first")
            grey = image.mode in ("1", "L")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is corrupt or not an image: {error}") from error
    return np.ascontiguousarray(pixels[None] if grey else pixels.transpose(2, 0, 1))


def files_key(folder: Path, files: Iterable[Path]) -> str:
    """Changes whenever a file is added, removed, resized or touched."""
    entries = sorted(
        f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"
        for path in files
        if (stat := path.stat()) and path.is_file()
    )
    listing = "\n".join([str(folder.resolve()), *entries])
    return hashlib.sha256(listing.encode()).hexdigest()
