"""The code of a notebook, as a document and as something to run in the test's own process."""

import functools
from pathlib import Path
from typing import Any

import nbformat

NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))


@functools.cache
def code_cells(path: str | Path) -> list[Any]:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def has_parameters(cell: Any) -> bool:
    return "parameters" in cell.metadata.get("tags", [])


def source(cell: Any) -> str:
    """What Python understands of it."""
    return cell.source.removeprefix("%matplotlib inline")


def default_parameters(path: str | Path) -> dict[str, Any]:
    """The names and values of its parameters cell; none where there is no such cell."""
    values: dict[str, Any] = {"__builtins__": {}}
    for cell in code_cells(path):
        if has_parameters(cell):
            exec(cell.source, values)
    del values["__builtins__"]
    return values


def run_cells(path: str | Path, parameters: dict[str, Any]) -> None:
    """All cells; ``parameters`` go over the notebook's own, as papermill would put them."""
    names: dict[str, Any] = {}
    for cell in code_cells(path):
        exec(source(cell), names)
        if has_parameters(cell):
            names |= parameters
