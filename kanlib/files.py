"""Files that are written whole or not at all.

Records, analyses, tables and figures are written by it.
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
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
        _sync(temporary)  # on the disk before it has its name
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(path)
    except OSError as error:
        # A full disk names no file, and nobody knows the temporary one.
        if error.filename is None or ".partial-" in str(error.filename):
            error.filename = str(path)
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def save_with_arrays(path: Path, text: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write ``text`` to ``path`` and arrays beside it (.npz); folders are made.

    Both are written to temporary names before either is renamed, the text last.

    Args:
        path: of the text.
        text: whole.
        arrays: by name; ``kanlib.experiments.load_arrays`` reads them.

    Raises:
        OSError: the files could not be written; what was there before is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_file(path) as temporary:
        temporary.write_text(text)
        _sync(temporary)  # what can fail has not failed, before the arrays have their name
        with atomic_file(path.with_suffix(".npz")) as beside, beside.open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
