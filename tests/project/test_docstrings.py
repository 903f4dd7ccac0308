"""Examples in docstrings print what they say."""

import doctest
import importlib
from pathlib import Path

import pytest

MODULES = [
    ".".join(path.with_suffix("").parts)
    for path in sorted(Path("kanlib").rglob("*.py"))
    if ">>> " in path.read_text()
]


@pytest.mark.parametrize("name", MODULES)
def test_an_example_prints_what_it_says(name: str):
    found = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert found.attempted > 0
    assert found.failed == 0
