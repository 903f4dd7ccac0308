"""Programs of the pages, each in a fresh process that has the libraries below kanlib already."""

import os
import sys
import warnings
from multiprocessing import get_context
from pathlib import Path
from subprocess import CompletedProcess

# Importing these takes longer than what the programs do. A fork of one process has them at once.
_FRESH = get_context("forkserver")
_FRESH.set_forkserver_preload(["torch", "seaborn", "sklearn.neighbors"])


def run_program(code: str, folder: Path) -> CompletedProcess[str]:
    """``code`` as ``python -W error -c`` runs it, in ``folder``, where its output is kept."""
    texts = [folder / "stdout.txt", folder / "stderr.txt"]
    process = _FRESH.Process(target=_run, args=(code, folder, *texts))
    process.start()
    process.join(300)
    process.kill()
    return CompletedProcess(code, process.exitcode or 0, *(text.read_text() for text in texts))


def _run(code: str, folder: Path, *texts: Path) -> None:
    for text, stream in zip(texts, (sys.stdout, sys.stderr), strict=True):
        with text.open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.chdir(folder)
    warnings.simplefilter("error")
    exec(compile(code, "<program>", "exec"), {"__name__": "__main__"})
