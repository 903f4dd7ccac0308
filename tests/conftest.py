"""What the unit tests share: seeds, few images, and no network."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.error import URLError

import hypothesis
import pytest
import torch
from filelock import FileLock  # torch brings it
from workflow import finish, write_experiment

from kanlib.data import Images, Split, datasets, load_images

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

# A fixed seed, and no deadline: a busy machine is no failure. Examples may still differ, for
# Hypothesis also draws constants of the modules that are imported so far.
hypothesis.settings.register_profile(
    "kanlib",
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
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
    monkeypatch.setattr(datasets, "_user_cache", lambda: tmp_path / "cache")
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


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny experiment that ran in peace, with records and tables; to be read."""
    top = tmp_path_factory.getbasetemp()
    top = top.parent if "PYTEST_XDIST_WORKER" in os.environ else top  # one for all workers
    folder = top / "undisturbed"
    with FileLock(top / "undisturbed.lock"):
        if not folder.exists():
            made = folder.with_suffix(".new")
            made.mkdir(exist_ok=True)
            code, output = finish(made, write_experiment(made), "tables")
            assert code == 0, output
            made.rename(folder)
    return folder


@pytest.fixture(scope="module")
def browser() -> "Iterator[Chrome]":
    """Chromium without a window and without a network but this machine's own."""
    chromium, chromedriver = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and chromedriver):
        pytest.skip("needs Chromium and its driver (Debian: chromium, chromium-driver)")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (
        "--headless=new",
        "--no-sandbox",  # it does not start as root with one
        "--disable-dev-shm-usage",
        "--window-size=1280,1000",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ):
        options.add_argument(flag)
    driver = webdriver.Chrome(options, webdriver.ChromeService(chromedriver))
    yield driver
    driver.quit()


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where to keep them, to be looked at."""
    folder = Path("build/screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
