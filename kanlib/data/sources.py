"""Images: where they are found, and how they are decoded to arrays."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# train_images and test_images (N, C, H, W), uint8 from 0 to 255 or float32 from -1 to 1;
# train_labels and test_labels (N,) int64. The fingerprint of a data set depends on their order.
Arrays = Mapping[str, NDArray[Any]]
Decoded = tuple[Arrays, tuple[str, ...]]  # arrays, and the names of the classes


@dataclass(frozen=True)
class Source:
    """Where a data set was found, and how to decode it.

    Attributes:
        where: a folder or a package, for messages.
        decode: reads the data.
        key: of the decoded arrays in the cache; it changes when the data change. None: they are not
            kept there.
    """

    where: str
    decode: Callable[[], Decoded]
    key: str | None = None


def digits() -> Decoded:
    """The 1,797 images of 8 x 8 digits that scikit-learn brings.

    They are split 4 : 1 by class, with a fixed seed.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch: Any = load_digits()
    pixels = (bunch.images[:, None] / 8 - 1).astype(np.float32)  # 0 .. 16 -> [-1, 1]
    parts: list[Any] = train_test_split(
        pixels, bunch.target.astype(np.int64), test_size=0.2, random_state=0, stratify=bunch.target
    )
    names = ("train_images", "test_images", "train_labels", "test_labels")
    return dict(zip(names, parts, strict=True)), tuple(map(str, bunch.target_names))


def find_folder(name: str, root: Path | None, looked: list[str]) -> Source | None:
    """The image folders ``<root>/<name>/{train,test}/<class>/``, if they are there.

    For the name "folder", ``root`` itself holds train/ and test/.

    Args:
        name: of the data set.
        root: where the data are.
        looked: the places where it was not found are added to it.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
    """
    if root is None:
        looked.append("KANLIB_DATA is not set, and no root was given")
        return None
    if not root.is_dir():
        raise FileNotFoundError(f"root={str(root)!r} (or KANLIB_DATA) is not a folder")
    folder = root if name == "folder" else root / name
    if (folder / "train").is_dir() and (folder / "test").is_dir():
        files = (p for split in ("train", "test") for p in (folder / split).rglob("*"))
        return Source(str(folder), partial(_decode_folders, folder), files_key(folder, files))
    looked.append(f"{folder}/train/<class>/ and {folder}/test/<class>/")
    if name != "folder":
        looked.append(f"{folder}/train.csv and {folder}/test.csv, for windows")
    return None


@dataclass(frozen=True)
class Torchvision:
    """A data set that torchvision can read and download.

    Attributes:
        kind: the name of torchvision's class.
        files: a pattern of its files, relative to the folder that it is given.
        counts: numbers of training and test images.
        classes: names of the classes; (): those that torchvision gives.
        splits: arguments of torchvision's class for the training and for the test images. If there
            is only one, its first images are the training images and the next the test images.
    """

    kind: str
    files: str
    counts: tuple[int, int]
    classes: tuple[str, ...] = ()
    splits: tuple[Mapping[str, object], ...] = ({"train": True}, {"train": False})

    def find(self, root: Path | None, download: Path, looked: list[str]) -> Source | None:
        """Its files in ``root`` or in ``download``; as a last resort they are downloaded there.

        The places where they were not found are added to ``looked``.
        """
        for place in filter(None, (root, download)):
            if source := self._find_files(place):
                return source
            looked.append(f"{place}/{self.files}")
        reason = self._download(download)
        if reason is None:
            return self._find_files(download)
        looked.append(f"torchvision's download ({reason})")
        return None

    def _find_files(self, place: Path) -> Source | None:
        files = list(place.glob(self.files))
        if not files:
            return None
        return Source(str(place), partial(self._decode, place), files_key(place, files))

    def _open(self, place: Path | str, **arguments: object) -> Any:
        import torchvision

        return getattr(torchvision.datasets, self.kind)(str(place), **arguments)

    def _download(self, target: Path) -> str | None:
        """Download into the folder ``target``; returns why it failed, or None."""
        target.parent.mkdir(parents=True, exist_ok=True)
        # Into a folder of its own, renamed at the end: half a download is never taken for the data.
        unfinished = tempfile.mkdtemp(dir=target.parent, prefix="partial-")
        try:
            for arguments in self.splits:
                self._open(unfinished, download=True, **arguments)
            os.chmod(unfinished, 0o755)  # mkdtemp makes it private
            os.replace(unfinished, target)
        except (OSError, RuntimeError) as error:
            if list(target.glob(self.files)):  # another process was faster
                return None
            return f"{type(error).__name__}: {error}".splitlines()[0]
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        return None

    def _decode(self, place: Path) -> Decoded:
        parts: list[tuple[NDArray[np.uint8], NDArray[np.int64]]] = []
        classes = self.classes
        for arguments in self.splits:
            try:
                # CIFAR-10's files are pickles. torchvision opens none before all have the published
                # MD5. Whatever else it unpickles (an old MNIST), it reads with weights_only.
                data = self._open(place, **arguments)
            except RuntimeError as error:  # its advice is meant for callers of torchvision
                raise ValueError(
                    f"of {self.files}, a file is missing or is not the published one"
                ) from error
            labels = data.labels if hasattr(data, "labels") else data.targets
            parts.append((_channels_first(data.data), np.asarray(labels, dtype=np.int64)))
            classes = classes or tuple(map(str, data.classes))
        if len(parts) == 1:
            parts = _cut(*parts[0], self.counts)
        arrays: dict[str, NDArray[Any]] = {}
        for split, (images, labels) in zip(("train", "test"), parts, strict=True):
            arrays |= {f"{split}_images": images, f"{split}_labels": labels}
        return arrays, classes


def _channels_first(data: Any) -> NDArray[np.uint8]:
    """Images (N, H, W), (N, H, W, 3) or (N, C, H, W) -> (N, C, H, W)."""
    pixels = np.asarray(data, dtype=np.uint8)
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    elif pixels.shape[1] != 3:
        pixels = pixels.transpose(0, 3, 1, 2)
    return np.ascontiguousarray(pixels)


def _cut(
    images: NDArray[np.uint8], labels: NDArray[np.int64], counts: tuple[int, int]
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    """The first images to train on and the next to test on, each sorted by class."""
    parts = []
    for start, count in zip((0, counts[0]), counts, strict=True):
        order = start + np.argsort(labels[start : start + count], kind="stable")
        parts.append((images[order], labels[order]))
    return parts


def _decode_folders(folder: Path) -> Decoded:
    from torchvision.datasets import ImageFolder

    arrays: dict[str, NDArray[Any]] = {}
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
                    f"{pixels[0].shape}; all images must have the same size and colour mode"
                )
            pixels.append(image)
        arrays[f"{split}_images"] = np.stack(pixels)
        arrays[f"{split}_labels"] = np.asarray(data.targets, dtype=np.int64)
    if found[0] != found[1]:
        raise ValueError(f"{folder}: train has classes {found[0]}, test has {found[1]}")
    return arrays, tuple(found[0])


def _read_image(path: str) -> NDArray[np.uint8]:
    """(1 or 3, H, W)."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode[0] in "IF":  # Pillow would cut its values off at 255
                raise ValueError(f"{path} has more than 8 bits a pixel; convert it to 8 bits first")
            grey = image.mode in ("1", "L")
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, Image.DecompressionBombError) as error:
        raise ValueError(f"{path} is corrupt or not an image: {error}") from error
    return np.ascontiguousarray(pixels[None] if grey else pixels.transpose(2, 0, 1))


def files_key(folder: Path, files: Iterable[Path]) -> str:
    """A key that changes when a file is added, removed, resized or touched."""
    entries = sorted(
        f"{path.relative_to(folder)} {stat.st_size} {stat.st_mtime_ns}"
        for path in files
        if (stat := path.stat()) and path.is_file()
    )
    listing = "\n".join([str(folder.resolve()), *entries])
    return hashlib.sha256(listing.encode()).hexdigest()
