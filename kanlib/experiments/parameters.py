"""Parameters of notebooks: the text that papermill reads, and the guard against misspelt ones."""

import ast
import difflib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

# What parameters are. Whatever else is there, the notebook has made: it can be run again from its
# parameters.
_PLAIN = (str, int, float, bool, type(None), list)
# A string, which is left as it is; or a float without a point.
_FLOAT = re.compile(r'("(?:\\.|[^"\\])*")|(?<![\d.])(\d+)e([-+])')


def to_yaml(parameters: Mapping[str, Any]) -> str:
    """Parameters as papermill's option ``-y`` takes them, on one line.

    JSON is YAML, but for floats: papermill's YAML 1.1 takes 1e-05 for a word, and 1.0e-05 for a
    number.
    """
    return _FLOAT.sub(lambda m: m[1] or f"{m[2]}.0e{m[3]}", json.dumps(parameters))


def read_parameters(
    namespace: Mapping[str, Any],
    before: Iterable[str],
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameters of a notebook; an unknown one is an error, and so is one of another type.

    papermill runs a notebook with its defaults when a parameter is misspelt, and exits 0. But it
    does assign the misspelt name in the notebook, where this function finds it. And it makes a
    string of ``-p flag false``, which would count as true.

    Where IPython keeps the cells that were run, only two of them are looked at: the one that
    papermill added, and the parameters cell, in which a name is refused that is nearly a parameter.
    What other cells make is the user's own.

    Args:
        namespace: ``globals()`` of the notebook, after its parameters.
        before: names that were there before the parameters.
        known: name of each parameter -> its type, as for ``isinstance``.

    Returns:
        The known parameters and their values.

    Raises:
        ValueError: there is a name that is not a parameter; suggests the one that was meant.
        TypeError: a value has another type.
    """
    before = set(before)
    for name, kind in known.items():
        if not isinstance(namespace[name], kind):
            kind = kind.__name__ if isinstance(kind, type) else kind
            raise TypeError(f"{name}={namespace[name]!r} must be of type {kind}")
    for name, value in namespace.items():
        if name in known or name in before or name[0] == "_" or not isinstance(value, _PLAIN):
            continue
        if "In" in namespace and not _is_meant(name, namespace["In"], known):
            continue
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"{name}={value!r} is not a parameter of this notebook{meant}. "
            f"The parameters are {', '.join(known)}."
        )
    return {name: namespace[name] for name in known}


def _is_meant(name: str, cells: Iterable[str], known: Mapping[str, Any]) -> bool:
    """Whether a name was given as a parameter: by papermill, or nearly one in the parameters cell.

    Args:
        name: that is no parameter.
        cells: the source of all cells that were run.
        known: the parameters.
    """
    by_papermill, by_user = set[str](), set[str]()
    for cell in cells:
        if cell.startswith("# Parameters\n"):  # as papermill writes it
            by_papermill = _assigned(cell)
        elif "read_parameters(" not in cell and known.keys() <= _assigned(cell):
            by_user = _assigned(cell)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
    return name in by_papermill or (name in by_user and bool(near))


def _assigned(cell: str) -> set[str]:
    """The names that a cell assigns; none where it is no plain Python."""
    try:
        nodes = list(ast.walk(ast.parse(cell)))
    except SyntaxError:  # a magic
        return set()
    names = (node for node in nodes if isinstance(node, ast.Name))
    return {node.id for node in names if isinstance(node.ctx, ast.Store)}
