"""What ``import kanlib`` costs and offers, and that all that is public is described."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import kanlib

MODULES = sorted(Path(kanlib.__file__).parent.rglob("*.py"))


def test_import_loads_nothing_that_torch_does_not():
    # matplotlib, pandas, pydantic, scikit-learn, scipy, torchvision, tqdm, yaml: on demand only.
    program = """
import sys, torch
before = set(sys.modules)
import kanlib
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(sorted(new - sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout.strip() == "['kanlib']"


@pytest.mark.parametrize("name", kanlib.__all__)
def test_every_name_of_the_api_exists(name):
    assert getattr(kanlib, name) is not None


def test_the_api_is_all_that_is_public():
    public = {
        name
        for name, value in vars(kanlib).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    # ``load`` comes when it is asked for, as it needs more than torch.
    assert public - {"version", "Any", "TYPE_CHECKING"} | {"load"} == set(kanlib.__all__)


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(AttributeError, match="'lod'"):
        _ = kanlib.lod


def public_definitions(body: list[ast.stmt], prefix: str = "") -> list[tuple[str, str | None]]:
    """Names and docstrings of public functions and classes, and of the methods of these."""
    found = []
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            name = prefix + node.name
            found.append((name, ast.get_docstring(node)))
            if isinstance(node, ast.ClassDef):
                found += public_definitions(node.body, f"{name}.")
    return found


@pytest.mark.parametrize("path", MODULES, ids=lambda path: "/".join(path.parts[-2:]))
def test_every_public_function_class_and_module_is_described(path):
    tree = ast.parse(path.read_text())
    assert ast.get_docstring(tree)
    undescribed = [name for name, docstring in public_definitions(tree.body) if not docstring]
    assert undescribed == []
