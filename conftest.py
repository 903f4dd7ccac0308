"""What the unit tests and the notebooks under nbval have in common."""

import os

import pytest

# Inherited by the notebooks' kernels: progress bars are not part of the story,
# and pictures come from the inline backend whatever the shell says.
os.environ["TQDM_DISABLE"] = "1"
# One thread: small models gain nothing from more, and lose much when tests run side by side.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ.pop("MPLBACKEND", None)
# This environment's own kernel, whatever kernels there are elsewhere.
os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"
os.environ.pop("JUPYTER_PATH", None)


@pytest.fixture(autouse=True, scope="session")
def no_windows():
    """Unit tests draw without a display; a variable would reach the kernels too."""
    import matplotlib

    matplotlib.use("Agg")


def pytest_collectstart(collector):
    """Let nbval compare the plain text of a notebook: not its logs, not its HTML."""
    if hasattr(collector, "skip_compare"):
        collector.skip_compare += ("stderr", "text/html")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """A cell of a notebook that warns fails: its reader sees red."""
    done = yield
    for output in getattr(item, "test_outputs", ()):
        assert output.get("name") != "stderr" or "Warning" not in output["text"], output["text"]
    return done


def pytest_collection_modifyitems(items):
    """The files that take long come first: beside the last of them, there are short ones left."""
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long and item.path.suffix != ".ipynb")
