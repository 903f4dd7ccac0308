"""Files that are written whole or not at all.

Needs numpy. Records, analyses, tables and figures are written by it.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name to write to, renamed to ``path`` if the block succeeds, removed if not."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as file:  # on the disk before it has its name
            os.fsync(file.fileno())
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, name):  # a full disk names none
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def save_with_arrays(path: Path, text: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``text`` to ``path`` and arrays beside it (.npz); folders are made.

    Both are written to temporary names before either is renamed, the text last.

    Args:
        path: of the text.
        text: whole.
        arrays: by name; ``kanlib.results.load_arrays`` reads them.

    Raises:
        OSError: the files could not be written; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text)
        with atomic_file(path.with_suffix(".npz")) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
