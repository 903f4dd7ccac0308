"""Writing files whole or not at all: records, analyses, tables and figures."""

import errno
import io
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary file, to be written in the block.

    It is renamed to ``path`` at the end. If the block raises, it is removed instead.

    Raises:
        OSError: the file could not be written; ``path`` is as it was before.
    """
    with _aside(path) as temporary:
        yield temporary
        _sync(temporary)  # it must be on the disk before it has its name
        temporary.chmod(0o644)  # mkstemp makes it private
        temporary.replace(path)


@contextmanager
def _aside(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path``, removed at the end if it is still there."""
    temporary = None
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-")
        os.close(descriptor)
        temporary = Path(name)
        yield temporary
    except OSError as error:
        # The error of a full disk names no file, or the temporary one, which nobody knows.
        if error.filename is None or ".partial-" in str(error.filename):
            error.filename = str(path)
        raise
    finally:
        if temporary:
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    with path.open("r+b") as file:  # Windows syncs no file that is open for reading alone
        os.fsync(file.fileno())


def write_together(contents: Mapping[Path, str | bytes]) -> None:
    """Write files that belong together, the first of which says that all are there.

    All are on the disk under temporary names before any is renamed; the first is renamed last.
    Folders are made.

    Args:
        contents: path -> all of its content.

    Raises:
        OSError: a file could not be written; what was there before is untouched.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = stack.enter_context(atomic_file(path))
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)
            _sync(temporary)


def try_to_write(contents: Mapping[Path, str | bytes]) -> None:
    """Raise now what ``write_together`` would raise; only folders are left behind.

    Args:
        contents: path -> as much as will be written.

    Raises:
        OSError: a file could not be written, or has the name of a folder.
    """
    with ExitStack() as stack:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(path.stat().st_mode):  # a name that is too long raises, too
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            temporary = stack.enter_context(_aside(path))
            temporary.write_bytes(content.encode() if isinstance(content, str) else content)


def pack_arrays(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Named arrays as the content of an .npz file."""
    packed = io.BytesIO()
    np.savez_compressed(packed, allow_pickle=False, **arrays)
    return packed.getvalue()


def read_arrays(path: str | Path) -> dict[str, NDArray[Any]]:
    """The arrays in an .npz file; runs no code that the file may hold.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is damaged; names it.
    """
    with Path(path).open("rb") as stream:
        try:
            with np.load(stream, allow_pickle=False) as file:
                return dict(file)
        except Exception as error:  # numpy meets damage with errors of many kinds
            raise ValueError(
                f"{path} is damaged: {error}; delete it to have it made again"
            ) from error
