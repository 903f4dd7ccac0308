"""Bad input to figures, claims and published numbers is refused; the message names what is bad."""

from collections.abc import Callable

import numpy as np
import pytest
from records import made_up

from kanlib.experiments import Run, to_frame
from kanlib.report import claims, figures, published

TWICE = to_frame([made_up(Run(model=model), 1.0) for model in ("kan", "kan", "conv")])
PIXELS = np.zeros((2, 1, 4, 4))
LINE, LINES = PIXELS[0, 0, 0], PIXELS[0, 0]  # (4,), (4, 4)
CASES: list[tuple[Callable[[], object], str]] = [
    (lambda: claims.compare(TWICE), r"first .*\[0, 0\]"),
    (lambda: figures.reconstructions(PIXELS, {"KAN": PIXELS[:1]}), r"KAN.*\(1, 1, 4, 4\)"),
    (lambda: figures.edge_functions(LINE, LINES, ["pixel 0"]), r"values .*\(4, 4\)"),
    (lambda: figures.edge_functions(LINE, LINES[:0], []), r"values .*\(0, 4\)"),
    (
        lambda: figures.confusion_difference(np.eye(2), np.eye(3), ["a", "b"]),
        r"theirs.*\(3, 3\)",
    ),
]


@pytest.mark.parametrize(("call", "stated"), CASES, ids=[stated for _, stated in CASES])
def test_bad_input_is_named(call, stated):
    with pytest.raises(ValueError, match=stated):
        call()


@pytest.mark.parametrize("folder", ["no-folder", "README.md"])
@pytest.mark.parametrize("load", [published.load_elbow, published.load_confusion])
def test_a_folder_that_is_none_is_named(load, folder):
    with pytest.raises(FileNotFoundError, match=f"folder='{folder}'"):
        load(folder, "mnist")
