"""The examples of the README where modules and calls are missing that only some systems have."""

import subprocess
import sys

import pytest

from kanlib.data import load_images

ELSEWHERE = """
import os, signal, sys
import pandas, platformdirs, psutil, pydantic, sklearn.datasets, sklearn.neighbors, torch

for name in ("resource", "fcntl", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("getuid", "geteuid", "fork", "uname"):
    delattr(os, name)
del signal.SIGKILL

import kanlib
from kanlib import BSpline, KANLinear
from kanlib.data import load_images
from kanlib.experiments import Run, execute

KANLinear(784, 34, basis=BSpline(grid_size=5, spline_order=3))(torch.rand(64, 784) * 2 - 1)
images = load_images("digits")
run = Run(dataset="digits", model="kan", bottleneck=9, epochs=1)
result = execute(run, images, checkpoint=f"{sys.argv[1]}/state").save(sys.argv[1])
assert result.record.history.peak_memory > 2**20
kanlib.load(result.record.path)(images.test.images)
"""


@pytest.mark.slow
def test_a_model_trains_where_there_is_no_unix(tmp_path):
    command = [sys.executable, "-c", ELSEWHERE, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch, tmp_path):
    def homeless(_: str) -> str:
        raise RuntimeError("no home directory")  # as platformdirs says it

    monkeypatch.setattr("platformdirs.user_cache_dir", homeless)
    with pytest.raises(FileNotFoundError, match="Set HOME or XDG_CACHE_HOME, or pass cache"):
        load_images("digits")
    assert len(load_images("digits", cache=tmp_path).test) == 360
