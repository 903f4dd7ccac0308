"""What the unit tests share: seeds, few images, and no network."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import hypothesis
import pytest
import torch

from kanlib import data
from kanlib.data import Images, Split, load_images

# The same examples on every machine and in every run; a busy machine is no failure.
hypothesis.settings.register_profile(
    "kanlib", derandomize=True, database=None, deadline=None, max_examples=50
)
hypothesis.settings.load_profile("kanlib")


@pytest.fixture(autouse=True)
def fixed_weights():
    torch.manual_seed(0)


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no network in a test")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("urllib.request.urlopen", refuse)
        yield


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of the test's own; the user's data and cache are out of reach."""
    monkeypatch.delenv("KANLIB_DATA", raising=False)
    monkeypatch.setattr(data, "_user_cache", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def digits() -> Images:
    return load_images("digits")


@pytest.fixture(scope="session")
def few_digits(digits: Images) -> Images:
    """192 images to train on, 60 to test on."""
    train, test = (
        Split(split.images[:size], split.labels[:size])
        for split, size in ((digits.train, 192), (digits.test, 60))
    )
    return replace(digits, train=train, test=test)
