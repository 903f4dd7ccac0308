"""Decoded arrays, kept in a folder of the cache. They are written whole or not at all."""

import hashlib
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kanlib.data.sources import Decoded

Cached = tuple[Decoded, dict[str, str]]  # what was decoded, and hashes of the arrays


def write_cached(folder: Path, decoded: Decoded, hashes: dict[str, str]) -> None:
    """Keep what was decoded in a folder. It is written under another name first, then renamed.

    Raises:
        OSError: the folder cannot be written; nothing is left behind.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix="partial-"))
    try:
        for key, array in decoded.arrays.items():
            np.save(partial / f"{key}.npy", array)
        meta = {"classes": decoded.classes, "notes": decoded.notes, "hashes": hashes}
        (partial / "meta.json").write_text(json.dumps(meta))
        partial.chmod(0o755)  # mkdtemp makes it private
        shutil.rmtree(folder, ignore_errors=True)  # an older one, if it is damaged
        try:
            os.rename(partial, folder)
        except OSError:
            if read_cached(folder) is None:  # no other process wrote the same arrays just before
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read_cached(folder: Path) -> Cached | None:
    """What is kept in a folder; None if there is nothing or if it is damaged."""
    try:
        meta = json.loads((folder / "meta.json").read_text())
        arrays = {key: np.load(folder / f"{key}.npy") for key in meta["hashes"]}
        decoded = Decoded(arrays, tuple(meta["classes"]), tuple(meta["notes"]))
    except Exception:  # for damaged files numpy raises errors of many kinds
        return None
    hashes = {key: array_hash(array) for key, array in arrays.items()}
    return (decoded, hashes) if hashes == meta["hashes"] else None


def array_hash(array: NDArray[Any]) -> str:
    """SHA-256 of the bytes of an array."""
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()
