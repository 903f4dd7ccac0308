"""Checked values: pydantic models that refuse what does not fit, in one line a field."""

import math
import reprlib
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

_SHORT = reprlib.Repr()  # the value of an error may be as large as a file makes it
_SHORT.maxlevel, _SHORT.maxlist, _SHORT.maxstring = 2, 3, 80


class Checked(BaseModel):
    """Frozen, named values, each of its type and in its range."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        allow_inf_nan=False,
        revalidate_instances="always",  # else a NaN in a metric is found only when read again
    )


class Settings(Checked):
    """Values that people choose; what is wrong with them is said in one line.

    Numbers may be Python's, ``Decimal``, ``Fraction``, or scalars of numpy and torch; they are kept
    as Python's.

    Raises:
        ValueError: a value is unknown, of the wrong type or out of range; names all such values.
    """

    # Not in Checked: what has an __init__ of its own cannot read tuples from JSON.
    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**{name: plain(value) for name, value in values.items()})
        except ValidationError as error:
            raise ValueError(explain(error, list(type(self).model_fields))) from None


def plain(value: Any) -> Any:
    """A scalar of numpy or torch, ``Decimal`` or ``Fraction``, as Python's; all else as it is."""
    if isinstance(value, Decimal | Fraction):
        whole = math.isfinite(value) and value == int(value)
        return int(value) if whole else float(value)
    return value.item() if getattr(value, "ndim", None) == 0 else value


def check_flags(**flags: Any) -> None:
    """Refuse what is neither true nor false: ``"false"`` would count as true.

    Raises:
        ValueError: names the flag and its value.
    """
    for name, value in flags.items():
        if type(plain(value)) is not bool:
            raise ValueError(f"{name}={value!r} must be True or False")


def explain(error: ValidationError, known: list[str]) -> str:
    """What is wrong, a field a line: its name, its value, the rule.

    Args:
        error: as pydantic raises it.
        known: names that may be given; [] if a file's reader has no use for them.
    """
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            line = f"{name}={_SHORT.repr(problem['input'])} is not a known name"
            line += f"; the known ones are {', '.join(known)}" if known else ""
        elif problem["type"] == "value_error":  # our own: it names what it is about
            line = f"{name}: " if name else ""
            line += str(problem.get("ctx", {})["error"])
        elif problem["type"] == "missing" or not name:
            line = f"{name or 'the file'}: {problem['msg']}"
        else:
            line = f"{name}={_SHORT.repr(problem['input'])}: {problem['msg']}"
        lines.append(line)
    return "; ".join(lines)
