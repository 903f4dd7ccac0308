"""The Snakefile on a tiny experiment, called as its user calls it; several tests share it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from filelock import FileLock  # torch brings it

from kanlib.experiments import load_record

TINY = """
title: Tiny
about: Four fast runs.
common: {dataset: digits, epochs: 2}
grid:
  - {model: [kan, pca], bottleneck: [2, 4]}
"""
ONE_RUN = TINY.replace("[kan, pca], bottleneck: [2, 4]", "pca, bottleneck: 2")


def write_experiment(folder: Path, text: str = TINY) -> Path:
    """``text`` as folder/tiny.yaml."""
    path = folder / "tiny.yaml"
    path.write_text(text)
    return path


def exclusive() -> FileLock:
    """For tests that remake what lies in results/ and figures/, or copy it: one at a time."""
    Path("build").mkdir(exist_ok=True)
    return FileLock("build/.tests.lock")


def start(
    folder: Path,
    experiment: Path,
    *more: str,
    profile: str = "local",
    config: Sequence[str] = (),
    output: int | IO[str] = subprocess.PIPE,
    **environment: str,
) -> subprocess.Popen[str]:
    """Snakemake, in a session of its own; results/, figures/ and logs/ go into ``folder``."""
    command = [sys.executable, "-m", "snakemake", *more, "--profile", f"profiles/{profile}"]
    command += ["--cores", "2"] if profile == "local" else []
    command += ["--config", f"experiment={experiment}", *config]
    command += [f"{name}={folder}/{name}" for name in ("results", "figures", "logs")]
    return subprocess.Popen(
        command,
        stdout=output,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        env=os.environ | environment,
    )


def finish(folder: Path, experiment: Path, *more: str, **options: Any) -> tuple[int, str]:
    """Exit code and all that ``start`` printed."""
    process = start(folder, experiment, *more, **options)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def records(folder: Path) -> dict[Path, bytes]:
    """Every record by path. One that was made again has other bytes: the seconds it took.

    Its file's time says less: Snakemake touches what a job wrote once the job has ended.
    """
    return {path: path.read_bytes() for path in sorted((folder / "results/runs").rglob("*.json"))}


def numbers(path: Path) -> dict[str, Any]:
    """A record without what may differ between two equal runs: times, memory, cuts, the commit."""
    record = load_record(path).model_dump(exclude={"wall_seconds"})
    for name in ("seconds", "peak_memory", "resumed_after"):
        del record["history"][name]
    del record["environment"]["git_commit"], record["environment"]["git_dirty"]
    return record
