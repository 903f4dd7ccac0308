"""What is above ``nn`` and ``models`` needs more than torch; imported first, this says so."""

from importlib.util import find_spec

if missing := [name for name in ("pydantic", "sklearn") if find_spec(name) is None]:
    raise ModuleNotFoundError(
        f"this part of kanlib needs more than torch (there is no {' and no '.join(missing)}): "
        "pip install '.[experiments]' in the clone"
    )
