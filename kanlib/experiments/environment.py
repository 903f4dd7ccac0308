"""What produced a record: versions, commit, device and settings."""

import functools
import os
import platform
import subprocess
from pathlib import Path

import torch

import kanlib
from kanlib.strict import Checked
from kanlib.training.config import Positive
from kanlib.training.cpu import MALLOC, Passes, Products, device_name


class Environment(Checked):
    """What produced a record.

    Attributes:
        kanlib: version of the library.
        git_commit: of the checkout that the library was imported from; None outside a checkout.
        git_dirty: whether library or notebooks differed from that commit.
        torch: version.
        python: version.
        platform: operating system and processor architecture.
        device: name of the device.
        threads: of PyTorch on the CPU.
        products: library of float32 products, "default" or "onednn" (see ``kanlib.training.cpu``).
        malloc: glibc's malloc settings in force, if any.
        passes: of training, "eager" or "compiled" (see ``kanlib.training.cpu``).
    """

    kanlib: str
    git_commit: str | None
    git_dirty: bool | None
    torch: str
    python: str
    platform: str
    device: str
    threads: Positive
    products: Products
    malloc: dict[str, str]
    passes: Passes = "eager"  # older records do not name it


def environment(device: torch.device | str) -> Environment:
    """The environment of this process on a device; its commit is that of the first call."""
    commit, dirty = checkout()
    return Environment(
        kanlib=kanlib.__version__,
        git_commit=commit,
        git_dirty=dirty,
        torch=torch.__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        device=device_name(device),
        threads=torch.get_num_threads(),
        products="default",
        malloc={n: v for n, v in os.environ.items() if n.startswith("MALLOC_") or n in MALLOC},
    )


def _git(*arguments: str) -> str | None:
    """Output of a git command in the library's folder; None where there is no checkout."""
    try:
        done = subprocess.run(
            ["git", *arguments],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


@functools.cache
def checkout() -> tuple[str | None, bool | None]:
    """The commit, and whether code or notebooks differ from it; None where there is no checkout."""
    # An installed library may lie within a checkout of something else: then it has no commit.
    if _git("ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None, None
    changes = _git("status", "--porcelain", ":/kanlib", ":/notebooks")
    return _git("rev-parse", "HEAD"), None if changes is None else bool(changes)
