"""What ``import kanlib`` costs and offers."""

import inspect
import subprocess
import sys
from pathlib import Path

import kanlib


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


def test_the_api_is_all_that_is_public():
    assert all(getattr(kanlib, name) is not None for name in kanlib.__all__)
    public = {
        name
        for name, value in vars(kanlib).items()
        if not name.startswith("_") and not inspect.ismodule(value)
    }
    # These come when they are asked for, as they need more than torch.
    assert public - {"Any", "TYPE_CHECKING"} | {"KANAutoencoder", "load"} == set(kanlib.__all__)


def test_no_package_loads_a_module_that_is_run_as_a_program():
    # Python warns that such a module would be there twice.
    root = Path(kanlib.__file__).parent
    files = [path for path in root.rglob("*.py") if '__name__ == "__main__"' in path.read_text()]
    programs = {".".join(("kanlib", *p.relative_to(root).with_suffix("").parts)) for p in files}
    assert len(programs) >= 4
    program = """
import sys, kanlib.data, kanlib.experiments, kanlib.interpretability, kanlib.report
print("\\n".join(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not programs & set(done.stdout.split())


def test_a_clone_that_is_not_installed_can_be_imported():
    program = """
import importlib.metadata, sys
def nowhere(name): raise importlib.metadata.PackageNotFoundError(name)
importlib.metadata.version = nowhere
import kanlib
print(kanlib.__version__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("unknown", "")
