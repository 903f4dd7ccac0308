"""Where data are found, and torchvision's data sets; what all loaders share."""

import hashlib
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

# train_images and test_images (N, C, H, W), uint8 from 0 to 255 or float32 from -1 to 1;
# train_labels and test_labels (N,) int64. The fingerprint of a data set depends on their order.
Arrays = Mapping[str, NDArray[Any]]
_DECODING = "3"  # a new number, when files that did not change are decoded in another way
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Decoded(NamedTuple):
    """What was decoded.

    Attributes:
        arrays: see ``Arrays``.
        classes: names of the classes, in the order of the labels.
        notes: what was left out or changed, a sentence each, with its count.
    """

    arrays: Arrays
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


Made = Decoded | tuple[Arrays, tuple[str, ...]]  # of a function in DATASETS


@dataclass(frozen=True)
class Source:
    """Where a data set was found, and how to decode it.

    Attributes:
        where: a folder or a package, for messages.
        decode: reads the data.
        key: of the decoded arrays in the cache; it changes when the data change. None: they are not
            kept there.
        memory: bytes that decoding will take at most, estimated; 0: unknown.
    """

    where: str
    decode: Callable[[], Made]
    key: str | None = None
    memory: int = 0


def digits() -> Made:
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
        memory = 5 * sum(file.stat().st_size for file in files)  # pixels, then as float32
        return Source(str(place), partial(self._decode, place), files_key(place, files), memory)

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
        return Decoded(arrays, classes)


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


def file_state(path: str | Path) -> str:
    """What changes when a file is written, renamed or replaced, or a link leads elsewhere."""
    status = os.stat(path)
    return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}"


def files_key(folder: Path, files: Iterable[Path]) -> str:
    """A key of the decoded arrays in the cache that changes when a file does."""
    return cache_key(folder, [f"{str(path)!r} {file_state(path)}" for path in sorted(files)])


def cache_key(folder: Path, state: Iterable[str]) -> str:
    """A key of the decoded arrays in the cache: SHA-256 of where the files are, and their state."""
    listing = "\n".join([_DECODING, str(folder.resolve()), *state])
    return hashlib.sha256(listing.encode(errors="surrogateescape")).hexdigest()


def shown(name: str) -> str:
    r"""A name of a file as text for people and records: Unicode in its composed form (NFC).

    Line ends, control characters, bytes that are not UTF-8 and marks that turn the direction of
    writing are spelled out, as in ``caf\udce9``.
    """
    return unicodedata.normalize("NFC", _UNSAFE.sub(lambda found: repr(found[0])[1:-1], name))


def contents(folder: Path, most: int = 5) -> str:
    """What a folder holds, for a message about what it lacks."""
    try:
        names = sorted(shown(name) for name in os.listdir(folder))
    except OSError:
        return ""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f" (there is {', '.join(names[:most])}{more})" if names else " (the folder is empty)"


def tally(count: int, one: str, many: str, what: str) -> str:
    """A note that counts: ``tally(2, "row was", "rows were", "empty")`` -> "2 rows were empty"."""
    return f"{count:,} {one if count == 1 else many} {what}"


def check_same_classes(train: Set[str], test: Set[str]) -> None:
    """Refuse splits of different classes.

    Raises:
        ValueError: names up to five classes that one of them lacks.
    """
    if train != test:
        only = {"train": train - test, "test": test - train}
        named = (
            f"only {split} has {len(names)}: {', '.join(map(repr, sorted(names)[:5]))}"
            for split, names in only.items()
            if names
        )
        raise ValueError(f"train and test must have the same classes; {'; '.join(named)}")
