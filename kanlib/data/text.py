"""Labelled texts: where they are found, and how they become rows of word weights (TF-IDF).

A document is an image (1, 1, V): a weight from 0 to 1 for each of V words. The words and their
weights follow from the training documents alone. A document with none of the words is left out of
its split, with a note.
"""

import csv
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import psutil
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

VOCABULARY = 2_000  # words
_PARSED = {".csv": 12, ".gz": 50}  # bytes of memory that a byte of a file takes, at most
_NAMED = 5  # rows in a note
Texts = tuple[list[str], NDArray[np.str_]]  # N documents, labels (N,)


def find_text(
    name: str, root: Path | None, vocabulary: int, counts: tuple[int, int] | None = None
) -> Source | None:
    """The files ``<root>/<name>/{train,test}.csv`` or ``.csv.gz``, if they hold texts.

    For the name "text", ``root`` itself holds them. They hold texts if one has a column ``text`` or
    is compressed. Files beside image folders of the same name are not taken for texts.

    Args:
        name: of the data set.
        root: where to look.
        vocabulary: most words, >= 1.
        counts: of documents, where they were published; the files must then hold texts.

    Raises:
        FileNotFoundError: one of the two files is missing.
        ValueError: a split is there twice, plain and compressed.
    """
    if root is None:
        return None
    folder = root if name == "text" else root / name
    files = {s: _files(folder, s) for s in ("train", "test")}
    found = [file for of_split in files.values() for file in of_split]
    if name != "text" and (not found or (folder / "train").is_dir()):
        return None
    sure = name == "text" or counts is not None
    if not sure and not any(file.suffix == ".gz" or _has_text(file) for file in found):
        return None
    for split, of_split in files.items():
        if not of_split:
            raise FileNotFoundError(
                f"dataset={name!r} needs train.csv and test.csv, or both as .csv.gz; there is no "
                f"{folder / split}.csv{contents(folder)}"
            )
        if len(of_split) > 1:
            raise ValueError(
                f"dataset={name!r}: {folder} holds {of_split[0].name} and {of_split[1].name}; "
                "remove one"
            )
    state = [f"{str(file)!r} {file_state(file)}" for file in found]
    memory = sum(_PARSED[file.suffix] * file.stat().st_size for file in found)
    decode = partial(_decode_files, *found, vocabulary, counts)
    return Source(str(folder), decode, _key(folder, vocabulary, state), memory)


@dataclass(frozen=True)
class Newsgroups:
    """The 20 newsgroups, split by date, as scikit-learn downloads them.

    Attributes:
        counts: numbers of training and test documents, those without words included.
    """

    counts: tuple[int, int]

    def find(self, download: Path, vocabulary: int, looked: list[str]) -> Source | None:
        """The texts in ``download``, without headers, footers and quotes; fetched if need be.

        If that fails, the reason is added to ``looked``.
        """
        from sklearn.datasets import fetch_20newsgroups

        texts: list[Texts] = []
        for subset in ("train", "test"):
            try:
                bunch: Any = fetch_20newsgroups(
                    data_home=download, subset=subset, remove=("headers", "footers", "quotes")
                )
            except OSError as error:
                looked.append(f"scikit-learn's download ({type(error).__name__}: {error})")
                return None
            texts.append((bunch.data, np.array(bunch.target_names)[bunch.target]))
        return Source(str(download), partial(to_rows, *texts, vocabulary))


def to_rows(train: Texts, test: Texts, vocabulary: int = VOCABULARY) -> Decoded:
    """Rows of TF-IDF weights, float32 (N, 1, 1, V), each of length 1; labels from 0 on.

    scikit-learn splits, counts and weighs the words: the most frequent ones but for English stop
    words, with 1 + ln(count) in the place of a count.

    Args:
        train: documents and labels to learn words, weights and classes from.
        test: of the same classes.
        vocabulary: V at most, >= 1.

    Raises:
        ValueError: the classes of the splits differ, a split has no document with words, or the
            rows would not fit into the memory that is free.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    classes = np.unique(train[1])
    check_same_classes(set(classes.tolist()), set(test[1].tolist()))
    words = TfidfVectorizer(max_features=vocabulary, sublinear_tf=True, stop_words="english")
    weights: list[Any] = [words.fit_transform(train[0]), words.transform(test[0])]
    size = 4 * sum(rows.shape[0] * rows.shape[1] for rows in weights)
    if size > (free := psutil.virtual_memory().available):
        raise ValueError(
            f"vocabulary={vocabulary} makes rows of {size / 2**30:.1f} GiB, but "
            f"{free / 2**30:.1f} GiB are free; it must be smaller"
        )
    arrays: dict[str, NDArray[Any]] = {}
    notes: list[str] = []
    for split, rows, (_, labels) in zip(("train", "test"), weights, (train, test), strict=True):
        kept = rows.getnnz(axis=1) > 0
        if not kept.any():
            raise ValueError(f"no {split} document has a word of the vocabulary; one must")
        if not kept.all():
            notes.append(_left_out(split, np.flatnonzero(~kept) + 1))
        arrays[f"{split}_images"] = rows[kept].astype(np.float32).toarray()[:, None, None]
        arrays[f"{split}_labels"] = np.searchsorted(classes, labels[kept]).astype(np.int64)
    return Decoded(arrays, tuple(shown(str(name)) for name in classes), tuple(notes))


def _left_out(split: str, rows: NDArray[np.int64]) -> str:
    """A note on documents without words, with the first of their rows, counted from 1."""
    named = ", ".join(map(str, rows[:_NAMED]))
    more = f" and {len(rows) - _NAMED:,} more" if len(rows) > _NAMED else ""
    what = f"left out of {split}, for want of a word of the vocabulary: row {named}{more}"
    return tally(len(rows), "document was", "documents were", what)


def _key(folder: Path, vocabulary: int, state: list[str]) -> str:
    version = metadata.version("scikit-learn")
    return cache_key(folder, [*state, f"{vocabulary} words", f"scikit-learn {version}"])


def _files(folder: Path, split: str) -> list[Path]:
    names = (f"{split}.csv", f"{split}.csv.gz")
    return [folder / name for name in names if (folder / name).is_file()]


def _has_text(path: Path) -> bool:
    """Whether the first line of a CSV file names a column ``text``."""
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        try:
            return "text" in (name.strip() for name in next(csv.reader(file), []))
        except csv.Error:  # no CSV file; whoever reads it says so
            return False


def _decode_files(
    train: Path, test: Path, vocabulary: int, counts: tuple[int, int] | None
) -> Decoded:
    texts = _read(train), _read(test)
    found = (len(texts[0][0]), len(texts[1][0]))
    if counts and found != counts:
        raise ValueError(f"train and test have {found} documents; they must have {counts}")
    return to_rows(*texts, vocabulary)


def _read(path: Path) -> Texts:
    """Documents and labels of a CSV file."""
    import pandas as pd

    try:
        # Without a header pandas refuses a row that is too long, whichever it is.
        table = pd.read_csv(
            path, header=None, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        ).fillna("")  # a short row lacks cells
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text in UTF-8: {error}") from error
    except Exception as error:  # a damaged archive raises errors of many kinds
        raise ValueError(f"{path}: {error}".strip()) from error
    names = [str(name).strip() for name in table.iloc[0]]
    if sorted(names) != ["label", "text"]:
        raise ValueError(f"{path} has the columns {names[:4]}; they must be 'label' and 'text'")
    table = table.iloc[1:]
    if table.empty:
        raise ValueError(f"{path} has no rows below its first line")
    labels = table[names.index("label")].str.strip().to_numpy(dtype=str)
    if (labels == "").any():
        raise ValueError(f"{path}, row {table.index[(labels == '').argmax()]}: the label is empty")
    return table[names.index("text")].tolist(), labels
