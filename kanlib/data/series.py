"""Windows of time series: where they are found, and how they are decoded to images of height 1.

A window of T values in C channels is an image (C, 1, T). All windows are scaled by one affine map,
which takes the least training value to -1 and the greatest to 1. It does not depend on the test
windows, which may exceed [-1, 1].
"""

import re
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanlib.data.sources import (
    Decoded,
    Source,
    check_same_classes,
    contents,
    files_key,
    shown,
    tally,
)

if TYPE_CHECKING:
    import pandas as pd

_PARSED = 12  # bytes of memory that a byte of a CSV file takes while it is read, at most
_UNNAMED = re.compile(r"Unnamed: \d+")  # what pandas calls a column without a name
Windows = tuple[NDArray[np.float64], NDArray[np.str_]]  # values (N, C, T), labels (N,)


def find_windows(name: str, root: Path | None) -> Source | None:
    """The files ``<root>/<name>/{train,test}.csv``, if they are there.

    For the name "series", ``root`` itself holds train.csv and test.csv. Files beside image folders
    of the same name are not taken for windows.

    Raises:
        FileNotFoundError: one of the two files is missing.
    """
    if root is None:
        return None
    folder = root if name == "series" else root / name
    files = [folder / "train.csv", folder / "test.csv"]
    missing = [str(file) for file in files if not file.is_file()]
    if name != "series" and (len(missing) == 2 or (folder / "train").is_dir()):
        return None
    if missing:
        raise FileNotFoundError(
            f"dataset={name!r} needs train.csv and test.csv; there is no {' and no '.join(missing)}"
            + contents(folder)
        )
    memory = _PARSED * sum(file.stat().st_size for file in files)
    return Source(str(folder), partial(_decode_csv, folder), files_key(folder, files), memory)


@dataclass(frozen=True)
class UCR:
    """A data set of the UCR archive, in the package aeon.

    Attributes:
        counts: numbers of training and test windows.
    """

    counts: tuple[int, int]

    def find(self, name: str) -> Source:
        """The data set that aeon calls ``name``.

        Raises:
            ModuleNotFoundError: aeon is not installed.
        """
        try:
            version = metadata.version("aeon")
        except metadata.PackageNotFoundError:
            raise ModuleNotFoundError(
                f"dataset={name!r} is read by aeon, which is not installed; try: "
                "pip install 'kanlib[series]'"
            ) from None
        return Source(f"aeon {version}", partial(_decode_ucr, name), f"aeon-{version}")


def _decode_ucr(name: str) -> Decoded:
    """The published splits, from the files in the package."""
    from aeon.datasets import load_classification  # pyright: ignore[reportMissingImports]

    windows: list[Any] = [load_classification(name, split=split) for split in ("train", "test")]
    return _to_arrays(*windows)


def _decode_csv(folder: Path) -> Decoded:
    columns, windows, notes = [], [], []
    for split in ("train", "test"):
        names, values, labels, empty = _read_csv(folder / f"{split}.csv")
        columns.append(names)
        windows.append((values, labels))
        if empty:
            notes.append(
                tally(empty, "empty row was", "empty rows were", f"left out of {split}.csv")
            )
    if columns[0] != columns[1]:
        pairs = enumerate(zip_longest(*columns), start=1)
        at, (first, second) = next(pair for pair in pairs if pair[1][0] != pair[1][1])
        raise ValueError(
            f"train.csv has {len(columns[0])} columns of values and test.csv {len(columns[1])}; "
            "both must have the same columns in the same order, but column of values "
            f"{at} is {first!r} in train.csv and {second!r} in test.csv"
        )
    notes += _check_columns(columns[0], *(values[:, 0] for values, _ in windows))
    arrays, classes, _ = _to_arrays(*windows)
    return Decoded(arrays, classes, tuple(notes))


def _read_csv(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.str_], int]:
    """Names of the columns of values (T,), values (N, 1, T), labels (N,), number of empty rows."""
    import pandas as pd

    try:
        # Without a header pandas keeps names as they are, and empty ones empty.
        table = pd.read_csv(
            path,
            header=None,
            dtype=str,
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=False,
            encoding="utf-8-sig",
        )
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is not text in UTF-8 ({error}); a workbook or a compressed file must be "
            "saved as CSV first"
        ) from error
    except ValueError as error:  # a row is too long, or the file is empty
        raise ValueError(f"{path}: {error}".strip()) from error
    table = table.fillna("")  # a short row lacks cells
    filled = (table != "").any(axis=1)
    empty, table = int((~filled).sum()), table[filled]
    names = _check_names(path, [str(name).strip() for name in table.iloc[:1].to_numpy().flatten()])
    table = table.iloc[1:]
    if table.empty:
        raise ValueError(f"{path} has no rows below its first line")
    labels = table.pop(names.index("label")).str.strip().to_numpy(dtype=str)
    names.remove("label")
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    for row, column in np.argwhere(~np.isfinite(values))[:1]:
        raise ValueError(
            f"{path}, row {table.index[row]}, column {names[column]!r}: {table.iat[row, column]!r} "
            "must be a finite number, with a decimal point ('' is an empty or missing cell)"
        )
    if (labels == "").any():
        raise ValueError(f"{path}, row {table.index[(labels == '').argmax()]}: the label is empty")
    return names, values[:, None], labels, empty


def _check_names(path: Path, names: list[str]) -> list[str]:
    """Refuse a first line that does not name each column, once, and one of them 'label'."""
    if "label" not in names or len(names) < 2:
        raise ValueError(
            f"{path} begins with the columns {names[:4]}; its first line must name a column "
            "'label' and columns of values, or 'label' and 'text', with commas between them"
        )
    for at, name in enumerate(names):
        if not name or _UNNAMED.fullmatch(name):
            raise ValueError(
                f"{path}: column {at + 1} has no name (it reads {name!r}); every column must have "
                "one. An index is left out by DataFrame.to_csv(index=False)"
            )
        if names.index(name) < at:
            raise ValueError(f"{path}: two columns have the name {name!r}; each must be there once")
    return names


def _check_columns(
    names: list[str], train: NDArray[np.float64], test: NDArray[np.float64]
) -> list[str]:
    """Refuse a column that counts the rows; returns a note on columns that do not vary.

    Args:
        names: (T,) of the columns.
        train: (N, T).
        test: (M, T).
    """
    counts = [(np.diff(values, axis=0) == 1).all(axis=0) for values in (train, test)]
    counting = np.flatnonzero(counts[0] & counts[1])
    if len(counting) == 1 and min(len(train), len(test)) > 2 and len(names) > 1:
        raise ValueError(
            f"the column {names[counting[0]]!r} counts the rows, in train.csv and in test.csv; "
            "every column but 'label' must hold values. Remove it"
        )
    constant = np.flatnonzero((train == train[0]).all(axis=0)) if len(train) > 1 else []
    if 0 < len(constant) < len(names):
        what = f"one value in all training windows, as {names[constant[0]]!r}"
        return [tally(len(constant), "column has", "columns have", what)]
    return []


def _to_arrays(train: Windows, test: Windows) -> Decoded:
    """Scaled windows, float32 (N, C, 1, T), and labels from 0 on."""
    classes = np.unique(train[1])
    check_same_classes(set(classes.tolist()), set(test[1].tolist()))
    low, high = train[0].min(), train[0].max()
    if low == high or not high / 8 - low / 8 < np.finfo(float).max / 16:
        raise ValueError(
            f"the training values go from {low} to {high}; they must vary, by less than 8e307"
        )
    arrays: dict[str, NDArray[Any]] = {}
    for split, (values, labels) in (("train", train), ("test", test)):
        with np.errstate(over="ignore"):
            scaled = (2 * (values - low) / (high - low) - 1).astype(np.float32)
        if not np.isfinite(scaled).all():
            raise ValueError(
                f"the {split} values go from {values.min():g} to {values.max():g}, too far beyond "
                f"the training values, which go from {low:g} to {high:g}"
            )
        arrays[f"{split}_images"] = scaled[:, :, None]  # (N, C, T) -> (N, C, 1, T)
        arrays[f"{split}_labels"] = np.searchsorted(classes, labels).astype(np.int64)
    return Decoded(arrays, tuple(shown(str(name)) for name in classes))


def cylinder_bell_funnel(windows: int, seed: int) -> "pd.DataFrame":
    """Artificial windows of 128 values in three classes, to try things out.

    A window is noise e(t), with an event from t = a to t = b on top. The event is (6 + h) times 1
    (cylinder), (t - a) / (b - a) (bell) or (b - t) / (b - a) (funnel). h and e(t) are standard
    normal, a is uniform in 16 .. 32 and b - a in 32 .. 96. Source: N. Saito, Local feature
    extraction and its applications using a library of bases, PhD thesis, Yale, 1994.

    Args:
        windows: how many, >= 1; the classes take turns.
        seed: >= 0.

    Returns:
        A table with the columns label, t0 .. t127. Written by ``to_csv(index=False)`` as train.csv
        and test.csv, such tables are the data set "series".
    """
    import pandas as pd

    draw, t = np.random.default_rng(seed), np.arange(128)
    labels = np.resize(["cylinder", "bell", "funnel"], windows)
    begin = draw.integers(16, 32, (windows, 1), endpoint=True)
    length = draw.integers(32, 96, (windows, 1), endpoint=True)
    rise = (t - begin) / length  # (windows, 128)
    choices = [labels[:, None] == "cylinder", labels[:, None] == "bell"]
    event = np.select(choices, [np.ones_like(rise), rise], 1 - rise) * ((rise >= 0) & (rise <= 1))
    values = (6 + draw.normal(size=(windows, 1))) * event + draw.normal(size=rise.shape)
    table = pd.DataFrame(values, columns=[f"t{i}" for i in t])
    table.insert(0, "label", labels)
    return table
