"""Data sets by name: images, windows of time series, and texts, as ``Images``.

A new data set is one function and one line in ``DATASETS``. What is decoded from files is kept in
the cache, under a key made of the names, sizes and times of these files.
"""

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from kanlib.data.cache import array_hash, read_cached, write_cached
from kanlib.data.folders import find_folder
from kanlib.data.images import Images, check_classes, from_arrays
from kanlib.data.series import UCR, find_windows
from kanlib.data.sources import Decoded, Made, Source, Torchvision, digits, shown, tally
from kanlib.data.text import VOCABULARY, Newsgroups, find_text
from kanlib.nn.arguments import as_integer

_TEN_DIGITS = tuple("0123456789")
# The data sets by name. A function of no arguments returns the arrays and the names of the classes:
# {"train_images": .., "train_labels": .., "test_images": .., "test_labels": ..}, ("cat", "dog").
# Images are (N, C, H, W), uint8 from 0 to 255 or float32 from -1 to 1; labels are (N,) int64.
DATASETS: dict[str, Callable[[], Made] | Torchvision | UCR | Newsgroups] = {
    "digits": digits,
    "mnist": Torchvision("MNIST", "MNIST/raw/*-ubyte", (60_000, 10_000), _TEN_DIGITS),
    "fashion-mnist": Torchvision("FashionMNIST", "FashionMNIST/raw/*-ubyte", (60_000, 10_000)),
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
    "20newsgroups": Newsgroups((11_314, 7_532)),
}
_ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


def load_images(
    name: str = "digits",
    root: str | Path | None = None,
    cache: str | Path | None = None,
    vocabulary: int | None = None,
) -> Images:
    """Find a data set, decode it (once) and check it.

    A name is looked for as ``<root>/<name>/{train,test}.csv`` (texts if they have a column
    ``text``, else windows), as image folders ``<root>/<name>/{train,test}/<class>/``, and then
    where its entry in ``DATASETS`` says. An entry that is a function is called at once. If a folder
    holds both, its image folders are taken.

    Args:
        name: a key of ``DATASETS``, such as "digits", "mnist", "fashion-mnist", "cifar10", "svhn",
            "svhn-test10k", "GunPoint", "ItalyPowerDemand" or "20newsgroups"; or the name of a
            folder in ``root``. With "folder", ``root`` itself holds train/<class>/ and
            test/<class>/. With "series", it holds train.csv and test.csv: a window a row, with a
            column ``label`` and its values in the order of time in the others. With "text", it
            holds them with the columns ``label`` and ``text``, or as .csv.gz.
        root: where the data are. None: the environment variable ``KANLIB_DATA``.
        cache: where downloads and decoded arrays are kept. None: the user's cache folder.
        vocabulary: most words that texts are described by, >= 1; None: 2,000.

    Returns:
        All images as float32 in [-1, 1]: (x - 0.5) / 0.5 for pixels x in [0, 1]. Windows are scaled
        by the affine map that takes the training values to [-1, 1]. Texts are rows of TF-IDF
        weights from 0 to 1, as ``kanlib.data.text.to_rows`` makes them.

    Raises:
        FileNotFoundError: the data set was not found and could not be downloaded. The message
            lists the places. Or there is no home for the cache.
        MemoryError: the data would not fit into the memory that is free; they are not read.
        ModuleNotFoundError: aeon is not installed.
        ValueError: the data are corrupt, incomplete or of mixed shapes. The message says where.
            Or ``vocabulary`` is below 1, or the data are no texts.

    Warns:
        UserWarning: once, with the ``notes`` of the images.

    Examples:
        >>> from kanlib.data import load_images
        >>> load_images("digits").summary
        'digits: 1437 training and 360 test images of 64 values (1, 8, 8), 10 classes'
    """
    if not isinstance(name, str) or name in ("", "..") or Path(name).name != name:
        raise ValueError(f"dataset={name!r} must be the name of a data set, not a path; see root")
    root = root or os.environ.get("KANLIB_DATA")
    cache = Path(cache or _user_cache())
    source = _find(name, Path(root) if root else None, cache, vocabulary)
    _check_room(name, source)
    folder = cache / "decoded" / f"{name}-{source.key[:16]}" if source.key else None
    if cached := read_cached(folder) if folder else None:
        images = from_arrays(name, *cached)
    else:
        images = _decode(name, source, folder)
    if images.notes:
        warnings.warn(f"dataset={name!r}: {'; '.join(images.notes)}", stacklevel=2)
    return images


def _check_room(name: str, source: Source) -> None:
    """Refuse data that would not fit into the memory that is free, before they are read."""
    if source.memory > (free := psutil.virtual_memory().available):
        raise MemoryError(
            f"dataset={name!r} in {source.where} takes about {source.memory / 2**30:.1f} GiB of "
            f"memory, but {free / 2**30:.1f} GiB are free"
        )


def _user_cache() -> Path:
    import platformdirs

    try:
        return Path(platformdirs.user_cache_dir("kanlib"))
    except RuntimeError as error:
        raise FileNotFoundError(
            f"{error}: there is no place for the cache. Set HOME or XDG_CACHE_HOME, or pass cache"
        ) from error


def _find(name: str, root: Path | None, cache: Path, vocabulary: int | None) -> Source:
    """The first place that holds the data set."""
    if vocabulary is not None and as_integer(vocabulary, 1) is None:
        raise ValueError(f"vocabulary={vocabulary!r} must be an integer >= 1")
    entry = DATASETS.get(name)
    looked: list[str] = []
    words = VOCABULARY if vocabulary is None else vocabulary
    counts = entry.counts if isinstance(entry, Newsgroups) else None
    source = None if callable(entry) else find_text(name, root, words, counts)
    if source is None and isinstance(entry, Newsgroups):
        source = entry.find(cache / "downloads" / name, words, looked)
    elif source is None and vocabulary is not None:
        raise ValueError(f"vocabulary={vocabulary} is for texts; dataset={name!r} holds none")
    if callable(entry):
        if root and (root / name / "train").is_dir():
            raise ValueError(
                f"dataset={name!r} is a function in DATASETS, but {root / name} holds data of that "
                "name, too; rename the folder"
            )
        return Source(f"DATASETS[{name!r}]", entry)
    source = source or find_windows(name, root)
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


def _decode(name: str, source: Source, folder: Path | None) -> Images:
    """Decode and check a data set, and keep it in ``folder``, if there is one."""
    place = f"dataset={name!r} in {source.where}"
    try:
        made: Any = source.decode()
        decoded = Decoded(*made)
        if set(decoded.arrays) != set(_ARRAYS):
            raise ValueError(f"arrays={list(decoded.arrays)} must be {list(_ARRAYS)}")
        entry = DATASETS.get(name)
        check_classes(decoded.classes)
        odd = [] if isinstance(entry, Torchvision) else _oddities(decoded)
        if entry is None or callable(entry):  # who publishes data answers for what they repeat
            odd += _repeated(decoded)
        decoded = decoded._replace(notes=(*decoded.notes, *odd))
        hashes = {key: array_hash(array) for key, array in decoded.arrays.items()}
        images = from_arrays(name, decoded, hashes)
    except Exception as error:  # a decoder may raise anything; the user needs the place
        what = str(error) or type(error).__name__
        lines = f"{place} cannot be read: {what}".split("\n")
        raise ValueError("\n".join(map(shown, lines))) from error
    counts = (len(images.train), len(images.test))
    if isinstance(entry, Torchvision | UCR) and counts != entry.counts:
        raise ValueError(
            f"{place} is incomplete: it has {counts[0]} training and {counts[1]} test images, must "
            f"have {entry.counts}"
        )
    if folder:
        try:
            write_cached(folder, decoded, hashes)
        except OSError as error:
            warnings.warn(f"decoded images could not be kept in {folder}: {error}", stacklevel=3)
    return images


def _oddities(decoded: Decoded) -> list[str]:
    """What is allowed, but may not be what was meant."""
    notes, classes = [], decoded.classes
    labels = {name: decoded.arrays[f"{name}_labels"] for name in ("train", "test")}
    for name, of_split in labels.items():
        if lacking := sorted(set(range(len(classes))) - set(of_split.tolist())):
            such = f"as {classes[lacking[0]]!r}"
            notes.append(
                tally(len(lacking), "class has", "classes have", f"no {name} images, {such}")
            )
    if len(classes) == 1:
        notes.append("there is one class only, so accuracies say nothing")
    elif np.median(np.unique(labels["train"], return_counts=True)[1]) == 1:
        notes.append(f"most of the {len(classes)} classes have one training image")
    first: dict[str, str] = {}
    for name in classes:
        if (other := first.setdefault(" ".join(name.casefold().split()), name)) != name:
            notes.append(f"the classes {other!r} and {name!r} look alike")
    train, test = (decoded.arrays[f"{name}_images"] for name in ("train", "test"))
    if test.shape[2] == 1 and test.dtype != np.uint8 and train.shape[1:] == test.shape[1:]:
        # A tenth of the range is what noise does.
        beyond = int((np.abs(test) > 1.2).any(axis=(1, 2, 3)).sum())
        if beyond:
            what = f"values beyond those of the training windows, from {test.min():.3g} to "
            what += f"{test.max():.3g} where those go from -1 to 1"
            notes.append(tally(beyond, "test window has", "test windows have", what))
    return notes


def _repeated(decoded: Decoded) -> list[str]:
    """A note on test images that are training images, too."""
    train, test = (map(array_hash, decoded.arrays[f"{name}_images"]) for name in ("train", "test"))
    known = set(train)
    if twice := sum(image in known for image in test):
        what = "the same values as a training image, so test errors say less"
        return [tally(twice, "test image has", "test images have", what)]
    return []
