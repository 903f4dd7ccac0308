"""Image folders: what lies in them, and how their images are decoded.

An image becomes what a viewer shows: turned as its EXIF data say, the first of several frames, and
laid over white where it is transparent. Colour profiles are not applied. Whatever is left out or
changed is counted, and said in the notes of the data set.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanlib.data.sources import (
    Decoded,
    Source,
    cache_key,
    check_same_classes,
    contents,
    file_state,
    shown,
    tally,
)

if TYPE_CHECKING:
    from PIL import Image

_EXIF_ORIENTATION = 0x0112
# Folders that systems and network disks make for themselves, beside those that begin with a dot.
_OF_SYSTEMS = {"__MACOSX", "@eaDir", "$RECYCLE.BIN", "System Volume Information", "lost+found"}
# Pillow knows the endings of these, but needs another program or system to read them.
_NOT_READ = {"EPS", "WMF", "MPEG", "BUFR", "GRIB", "HDF5"}
_PLAIN_MODES = {"1", "L", "LA", "P", "PA", "RGB", "RGBA"}  # to grey or RGB without a loss


@dataclass
class _Listing:
    """What lies in a split.

    Attributes:
        classes: name of each class, sorted -> its images, sorted.
        left_out: what is not read -> how often it is there.
        state: lines; they change when the decoded arrays may.
    """

    classes: dict[str, list[str]] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    state: list[str] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        """Of all images, by class."""
        return [path for of_class in self.classes.values() for path in of_class]


def find_folder(name: str, root: Path | None, looked: list[str]) -> Source | None:
    """The image folders ``<root>/<name>/{train,test}/<class>/``, if they are there.

    For the name "folder", ``root`` itself holds train/ and test/.

    Args:
        name: of the data set.
        root: where the data are.
        looked: the places where it was not found are added to it.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: a folder or file cannot be read, a class has no images.
    """
    if root is None:
        looked.append("KANLIB_DATA is not set, and no root was given")
        return None
    if not root.is_dir():
        raise FileNotFoundError(f"root={str(root)!r} (or KANLIB_DATA) is not a folder")
    folder = root if name == "folder" else root / name
    if not ((folder / "train").is_dir() and (folder / "test").is_dir()):
        looked.append(f"{folder}/train/<class>/ and {folder}/test/<class>/{contents(folder)}")
        if name != "folder":
            looked.append(f"{folder}/train.csv and {folder}/test.csv, for windows or texts")
        return None
    endings = _endings()
    try:
        train, test = (_list_split(folder / split, endings) for split in ("train", "test"))
        check_same_classes(set(train.classes), set(test.classes))
    except (OSError, ValueError) as error:
        raise ValueError(shown(f"dataset={name!r} in {folder} cannot be read: {error}")) from error
    others = [
        f"{entry.name}/"
        for entry in os.scandir(folder)
        if entry.is_dir() and entry.name not in ("train", "test") and not _is_hidden(entry.name)
    ]
    others += [file for file in ("train.csv", "test.csv") if (folder / file).exists()]
    notes = []
    if others:
        notes = [f"beside train/ and test/, {shown(', '.join(sorted(others)))} not read"]
    decode = partial(_decode_folders, train, test, notes, set(endings.values()))
    key = cache_key(folder, [*notes, "train", *train.state, "test", *test.state])
    return Source(str(folder), decode, key, _memory(train, test))


def _endings() -> dict[str, str]:
    """Ending of a file, in lower case -> the format that Pillow reads under it."""
    from PIL import Image

    known = Image.registered_extensions()  # before Image.OPEN, which it fills
    return {
        ending: kind
        for ending, kind in known.items()
        if kind in Image.OPEN and kind not in _NOT_READ
    }


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in _OF_SYSTEMS


def _scan(folder: str | Path, left_out: Counter[str]) -> "list[os.DirEntry[str]]":
    """What lies in a folder, sorted; hidden entries are only counted."""
    with os.scandir(folder) as entries:
        every = sorted(entries, key=lambda entry: entry.name)
    visible = [entry for entry in every if not _is_hidden(entry.name)]
    if len(visible) < len(every):
        left_out["hidden"] += len(every) - len(visible)
    return visible


def _list_split(split: Path, endings: Mapping[str, str]) -> _Listing:
    listing = _Listing()
    above = frozenset(_identity(folder) for folder in (split, *split.resolve().parents))
    for entry in _scan(split, listing.left_out):
        name = shown(entry.name)
        if not os.path.isdir(entry):
            if not os.path.exists(entry):
                raise ValueError(f"{entry.path} is a broken link")
            listing.left_out["beside the folders of classes"] += 1
            continue
        if name in listing.classes:
            raise ValueError(f"{split} has two folders of the name {name!r}")
        # In the order of torchvision's ImageFolder, on which the fingerprint of a data set depends.
        files = sorted(_walk(entry.path, above, endings, listing))
        listing.classes[name] = [os.path.join(*file) for file in files]
    listing.classes = dict(sorted(listing.classes.items()))
    listing.state.append(repr(sorted(listing.left_out.items())))
    if empty := [name for name, paths in listing.classes.items() if not paths]:
        more = f"; left out: {_tally_left_out(listing.left_out)}" if listing.left_out else ""
        raise ValueError(f"{split} has no images of the class {empty[0]!r}{more}")
    if not listing.classes:
        raise ValueError(
            f"{split} has no folders of classes{contents(split)}; see docs/own-data.md"
        )
    return listing


def _identity(folder: str | Path) -> tuple[int, int]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino


def _walk(
    folder: str, above: frozenset[tuple[int, int]], endings: Mapping[str, str], listing: _Listing
) -> Iterator[tuple[str, str]]:
    """The folder and name of every image in ``folder`` and below; links are followed."""
    itself = _identity(folder)
    if itself in above:
        listing.left_out["linked to a folder that holds it"] += 1
        return
    for entry in _scan(folder, listing.left_out):
        ending = os.path.splitext(entry.name)[1].lower()
        if os.path.isdir(entry):
            yield from _walk(entry.path, above | {itself}, endings, listing)
        elif ending not in endings:
            listing.left_out[f"{shown(ending) or 'without ending'} (not read by Pillow)"] += 1
        elif not os.path.isfile(entry):
            raise ValueError(f"{entry.path} is a broken link, or no file")
        else:
            listing.state.append(f"{entry.path!r} {file_state(entry.path)}")
            yield folder, entry.name


def _memory(train: _Listing, test: _Listing) -> int:
    """Bytes that decoding takes, if all images are like the first; 0 if that cannot be read."""
    from PIL import Image

    try:
        with Image.open(train.paths[0]) as image:
            values = image.width * image.height * (1 if image.mode in ("1", "L", "LA") else 3)
    except Exception:  # decoding says what is wrong
        return 0
    return 5 * values * (len(train.paths) + len(test.paths))  # uint8 and float32


def _tally_left_out(left_out: Counter[str], most: int = 8) -> str:
    named = left_out.most_common(most)
    if others := left_out.total() - sum(count for _, count in named):
        named.append(("others", others))
    return ", ".join(f"{count:,} {what}" for what, count in named)


def read_folder(folder: str | Path) -> tuple[NDArray[np.uint8], list[str], tuple[str, ...]]:
    """All images in a folder and in those below it, whatever these are called.

    Args:
        folder: where they are. Hidden files, and those that Pillow does not read, are left out.

    Returns:
        Pixels (N, C, H, W), from 0 to 255; the files, relative to ``folder``, sorted; and notes on
        what was left out or changed.

    Raises:
        FileNotFoundError: there is no such folder.
        ValueError: there are no images, one is damaged, or they have different sizes.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> from PIL import Image
        >>> from kanlib.data import read_folder
        >>> with TemporaryDirectory() as folder:
        ...     Image.new("L", (4, 3)).save(f"{folder}/cat.png")
        ...     pixels, files, notes = read_folder(folder)
        >>> pixels.shape, files
        ((1, 1, 3, 4), ['cat.png'])
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder")
    endings, listing, changes = _endings(), _Listing(), Counter[str]()
    files = sorted(_walk(str(folder), frozenset(), endings, listing))
    paths = [os.path.join(*file) for file in files]
    if not paths:
        raise ValueError(f"{folder} has no images that Pillow reads{contents(folder)}")
    pixels = _read_images(paths, set(endings.values()), changes)
    names = [shown(os.path.relpath(path, folder)) for path in paths]
    return pixels, names, tuple(_notes(listing.left_out, changes))


def _notes(left_out: Counter[str], changes: Counter[str]) -> list[str]:
    notes = [f"left out: {_tally_left_out(left_out)}"] if left_out else []
    return notes + [tally(n, "image was", "images were", what) for what, n in changes.items()]


def _decode_folders(
    train: _Listing, test: _Listing, notes: list[str], formats: set[str]
) -> Decoded:
    changes: Counter[str] = Counter()
    pixels = _read_images([*train.paths, *test.paths], formats, changes)
    parts = np.split(pixels, [len(train.paths)])
    arrays: dict[str, NDArray[Any]] = {}
    for split, listing, part in zip(("train", "test"), (train, test), parts, strict=True):
        arrays[f"{split}_images"] = part
        counts = [len(paths) for paths in listing.classes.values()]
        arrays[f"{split}_labels"] = np.repeat(np.arange(len(counts), dtype=np.int64), counts)
    notes = [*notes, *_notes(train.left_out + test.left_out, changes)]
    return Decoded(arrays, tuple(train.classes), tuple(notes))


def _read_images(paths: list[str], formats: set[str], changes: Counter[str]) -> NDArray[np.uint8]:
    """Images of one size, (N, C, H, W); what is changed on the way is counted."""
    images: list[NDArray[np.uint8]] = []
    for path in paths:
        images.append(_read_image(path, formats, changes))
        size, expected = images[-1].shape[1:], images[0].shape[1:]
        if size != expected:
            raise ValueError(
                f"{path} has the size (H, W) = {size}, but {paths[0]} has {expected}; all images "
                "must have the same size"
            )
    channels = _common_channels(images, changes)
    shape = (channels, *images[0].shape[1:])
    return np.stack([np.broadcast_to(image[:channels], shape) for image in images])


def _common_channels(images: list[NDArray[np.uint8]], changes: Counter[str]) -> int:
    """How many channels all images shall have: grey ones and coloured ones get 3."""
    coloured = [image for image in images if len(image) == 3]
    grey = len(images) - len(coloured)
    if grey == 0:
        return 3
    if coloured and not all((image == image[0]).all() for image in coloured):
        changes["grey among images in colour, and got three equal channels"] = grey
        return 3
    if coloured:  # as GIF files of grey images have palettes
        changes["grey in three channels, and got one"] = len(coloured)
    return 1


def _read_image(path: str, formats: set[str], changes: Counter[str]) -> NDArray[np.uint8]:
    """(1 or 3, H, W); what is changed on the way is counted."""
    from PIL import Image

    try:
        with Image.open(path, formats=tuple(formats)) as image:
            # Pillow would cut off the values of the first at 255, and the last bits of the second.
            deep = image.mode[0] in "IF" or ";16" in repr(image.tile)
            if getattr(image, "is_animated", False):
                changes["animated or of several pages; the first was taken"] += 1
            pixels = None if deep else _pixels(image, changes)
    except Exception as error:  # Pillow meets damage with errors of many kinds
        raise ValueError(
            f"{path} is corrupt or not an image: {error or type(error).__name__}"
        ) from error
    if pixels is None:
        raise ValueError(f"{path} has more than 8 bits a channel; convert it to 8 bits first")
    return pixels


def _pixels(image: "Image.Image", changes: Counter[str]) -> NDArray[np.uint8]:
    """What a viewer shows of an image of 8 bits a channel: (1 or 3, H, W)."""
    from PIL import Image, ImageOps

    image.load()
    try:
        turned = image.getexif().get(_EXIF_ORIENTATION, 1) in range(2, 9)
    except Exception:  # a viewer shows an image with damaged EXIF data, too
        turned = False
    if turned:
        image = ImageOps.exif_transpose(image)
        changes["turned as the EXIF data say"] += 1
    grey = image.mode in ("1", "L", "LA")
    if image.mode not in _PLAIN_MODES:
        changes[f"converted from {image.mode} to RGB"] += 1
    if image.has_transparency_data:
        image = image.convert("RGBA")
        least, _ = image.getchannel("A").getextrema()
        if least != 255:
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            changes["transparent in part, and laid over white"] += 1
    pixels = np.asarray(image.convert("L" if grey else "RGB"))
    return np.ascontiguousarray(pixels[None] if grey else pixels.transpose(2, 0, 1))
