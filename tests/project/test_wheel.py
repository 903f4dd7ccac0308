"""The wheel that `pip install .` makes works elsewhere, with torch and numpy alone."""

import re
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "pydantic" else find(name, *rest)
import torch
import kanlib
print(kanlib.__file__)
print(tuple(kanlib.KANLinear(784, 34)(torch.rand(64, 784) * 2 - 1).shape))
import kanlib.training
"""


@pytest.mark.slow
def test_the_layers_work_from_a_wheel_and_the_rest_says_what_it_needs(tmp_path: Path):
    make = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*make, "-w", str(tmp_path), str(ROOT)], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    (metadata,) = (tmp_path / "installed").glob("*.dist-info/METADATA")
    needs = re.findall(r"^Requires-Dist: (\w+)[^;\n]*$", metadata.read_text(), re.MULTILINE)
    assert sorted(needs) == ["numpy", "torch"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "installed")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.splitlines()[0].startswith(str(tmp_path))
    assert done.stdout.splitlines()[1] == "(64, 34)"
    assert "pip install '.[experiments]'" in done.stderr
