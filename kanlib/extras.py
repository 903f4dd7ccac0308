"""The packages above ``nn`` and ``models`` need more than torch; imported first, this says so."""

from importlib.util import find_spec

if find_spec("pydantic") is None:
    raise ModuleNotFoundError(
        "this part of kanlib needs more than torch: pip install '.[experiments]' in the clone"
    )
