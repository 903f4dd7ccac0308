"""Decoded arrays, kept in a folder of the cache: written whole or not at all, checked when read."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kanlib.data.sources import Arrays

Decoded = tuple[Arrays, tuple[str, ...], dict[str, str]]  # arrays, class names, array hashes


def write(target: Path, arrays: Arrays, classes: tuple[str, ...], hashes: dict[str, str]) -> None:
    """Keep arrays in the folder ``target``: written beside it, then renamed.

    Raises:
        OSError: it cannot be written; nothing is left behind.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix="partial-"))
    try:
        for key, array in arrays.items():
            np.save(partial / f"{key}.npy", array)
        (partial / "meta.json").write_text(json.dumps({"classes": classes, "hashes": hashes}))
        partial.chmod(0o755)  # mkdtemp makes it private
        shutil.rmtree(target, ignore_errors=True)  # a damaged older one
        try:
            os.rename(partial, target)
        except OSError:
            if read(target) is None:  # else another process was first, with the same content
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read(target: Path) -> Decoded | None:
    """What is kept in the folder ``target``, or None where there is nothing or it is damaged."""
    try:
        meta = json.loads((target / "meta.json").read_text())
        arrays = {key: np.load(target / f"{key}.npy") for key in meta["hashes"]}
        classes = tuple(meta["classes"])
    except Exception:  # numpy meets damage with errors of many kinds
        return None
    hashes = {key: digest(array) for key, array in arrays.items()}
    return (arrays, classes, hashes) if hashes == meta["hashes"] else None


def digest(array: NDArray[np.generic]) -> str:
    """SHA-256 of the bytes of ``array``."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
