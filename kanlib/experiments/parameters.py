"""The guard against misspelt notebook parameters."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

# What parameters are. Whatever else is there, the notebook has made: it can be run again from its
# parameters.
_PLAIN = (str, int, float, bool, type(None), list)


def read_parameters(
    namespace: Mapping[str, Any],
    before: Iterable[str],
    known: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameters of a notebook; an unknown one is an error, and so is one of another type.

    papermill runs a notebook with its defaults when a parameter is misspelt, and exits 0. But it
    does assign the misspelt name in the notebook, where this function finds it. And it makes a
    string of ``-p flag false``, which would count as true.

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
        near = difflib.get_close_matches(name, known, n=1)
        meant = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(
            f"{name}={value!r} is not a parameter of this notebook{meant}. "
            f"The parameters are {', '.join(known)}."
        )
    return {name: namespace[name] for name in known}
