"""Windows of time series: where they are found, and how they are decoded to images of height 1.

A window of T values in C channels is an image (C, 1, T). All windows are scaled by one affine map,
which takes the least training value to -1 and the greatest to 1. It does not depend on the test
windows, which may exceed [-1, 1].
"""

from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kanlib.data.sources import Decoded, Source, files_key

if TYPE_CHECKING:
    import pandas as pd

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
        )
    return Source(str(folder), partial(_decode_csv, folder), files_key(folder, files))


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
    columns, windows = [], []
    for split in ("train", "test"):
        names, values, labels = _read_csv(folder / f"{split}.csv")
        columns.append(names)
        windows.append((values, labels))
    if columns[0] != columns[1]:
        raise ValueError(
            f"train.csv has {len(columns[0])} columns of values and test.csv {len(columns[1])}; "
            "both must have the same columns in the same order"
        )
    return _to_arrays(*windows)


def _read_csv(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.str_]]:
    """The names of the columns of values (T,), the values (N, 1, T) and the labels (N,)."""
    import pandas as pd

    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
    except ValueError as error:  # a row is too long, the file is empty or is not text
        raise ValueError(f"{path}: {error}".strip()) from error
    if "label" not in table or len(table.columns) < 2:
        raise ValueError(
            f"{path} begins with the columns {list(table.columns[:4])}; its first line must name a "
            "column 'label' and at least one column of values"
        )
    if not isinstance(table.index, pd.RangeIndex):  # pandas took the first cells for row names
        raise ValueError(f"{path}: row 1 has more cells than the first line has names")
    table = table.fillna("")  # a short row lacks cells
    labels = table.pop("label").to_numpy(dtype=str)
    values = table.apply(pd.to_numeric, errors="coerce").to_numpy(dtype=np.float64)
    for row, column in np.argwhere(~np.isfinite(values))[:1]:
        raise ValueError(
            f"{path}, row {row + 1}, column {table.columns[column]!r}: "
            f"{table.iat[row, column]!r} must be a finite number ('' is an empty or missing cell)"
        )
    if (labels == "").any():
        raise ValueError(f"{path}, row {int((labels == '').argmax()) + 1}: the label is empty")
    return list(table.columns), values[:, None], labels


def _to_arrays(train: Windows, test: Windows) -> Decoded:
    """Scaled windows, float32 (N, C, 1, T), and labels from 0 on."""
    classes, others = np.unique(train[1]), np.unique(test[1])
    if classes.tolist() != others.tolist():
        raise ValueError(f"train has classes {classes.tolist()}, test has {others.tolist()}")
    low, high = train[0].min(), train[0].max()
    if low == high:
        raise ValueError(f"all training values are {low}; they must vary")
    arrays: dict[str, NDArray[Any]] = {}
    for split, (values, labels) in (("train", train), ("test", test)):
        scaled = (2 * (values - low) / (high - low) - 1).astype(np.float32)
        arrays[f"{split}_images"] = scaled[:, :, None]  # (N, C, T) -> (N, C, 1, T)
        arrays[f"{split}_labels"] = np.searchsorted(classes, labels).astype(np.int64)
    return arrays, tuple(str(name) for name in classes)


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
