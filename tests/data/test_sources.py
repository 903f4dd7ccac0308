"""torchvision's data sets: its files, its downloads, and the real ones where they are."""

import os
import sys
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision

from kanlib.data import DATASETS, Images, __main__, load_images
from kanlib.data.sources import Torchvision

REAL_DATA = Path(os.environ.get("KANLIB_DATA") or "unset")  # before own_cache hides it
REAL_MNIST = DATASETS["mnist"]
COUNTS = {"train": 6, "test": 4}


def pixels_and_labels(split: str) -> tuple[np.ndarray, np.ndarray]:
    draw, count = np.random.default_rng(len(split)), COUNTS[split]
    return draw.integers(0, 256, (count, 28, 28), dtype=np.uint8), np.arange(count, dtype=np.uint8)


def write_mnist(root: Path, splits: tuple[str, ...] = ("train", "test")) -> None:
    """root/MNIST/raw/*-ubyte, in the IDX format: magic number, sizes, bytes."""
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    for split in splits:
        stem = {"train": "train", "test": "t10k"}[split]
        for kind, array in zip(("images", "labels"), pixels_and_labels(split), strict=True):
            header = np.array([0x800 + array.ndim, *array.shape], dtype=">i4").tobytes()
            file = raw / f"{stem}-{kind}-idx{array.ndim}-ubyte"
            file.write_bytes(header + array.tobytes())


@pytest.fixture(autouse=True)
def small_mnist(monkeypatch, own_cache):
    """MNIST counts as complete with 6 and 4 images, and cannot be downloaded."""
    expect_counts(monkeypatch, "mnist", (COUNTS["train"], COUNTS["test"]))
    forbid_download(monkeypatch, "MNIST")


def expect_counts(monkeypatch: pytest.MonkeyPatch, name: str, counts: tuple[int, int]) -> str:
    """The data set is complete with so many images; returns the name of torchvision's class."""
    entry = DATASETS[name]
    assert isinstance(entry, Torchvision)
    monkeypatch.setitem(DATASETS, name, replace(entry, counts=counts))
    return entry.kind


def forbid_download(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    original = getattr(torchvision.datasets, name)

    def dataset(*arguments: object, download: bool = False, **options: object) -> object:
        if download:
            raise URLError("no network here")
        return original(*arguments, **options)

    monkeypatch.setattr(torchvision.datasets, name, dataset)


def assert_is_the_small_mnist(images: Images) -> None:
    for split, of in (("train", images.train), ("test", images.test)):
        pixels, labels = pixels_and_labels(split)
        expected = pixels[:, None].astype(np.float32) / 127.5 - 1
        np.testing.assert_allclose(of.images, expected, rtol=0, atol=1e-6)
        assert of.labels.tolist() == labels.tolist()
        assert of.labels.dtype == torch.int64
    assert images.classes == tuple("0123456789")


def test_mnist_is_read_from_an_earlier_download_or_from_the_root(tmp_path, own_cache):
    write_mnist(own_cache / "downloads" / "mnist")
    assert_is_the_small_mnist(load_images("mnist"))
    assert_is_the_small_mnist(load_images("mnist", tmp_path))  # a root without it
    write_mnist(tmp_path, ("train",))  # half of it
    with pytest.raises(ValueError, match=f"dataset='mnist' in {tmp_path} "):
        load_images("mnist", tmp_path)
    write_mnist(tmp_path)
    assert_is_the_small_mnist(load_images("mnist", tmp_path))


def test_too_few_images_are_refused_as_incomplete(tmp_path, monkeypatch, own_cache):
    write_mnist(tmp_path)
    monkeypatch.setitem(DATASETS, "mnist", REAL_MNIST)
    numbers = r"\b6 .*\b4 .*\(60000, 10000\)"
    with pytest.raises(ValueError, match=f"dataset='mnist' in {tmp_path} .*{numbers}"):
        load_images("mnist", tmp_path)
    assert not own_cache.exists()


def test_without_network_the_error_lists_every_place_and_why(tmp_path, own_cache):
    with pytest.raises(FileNotFoundError) as caught:
        load_images("mnist", tmp_path)
    for hint in (
        f"{tmp_path}/mnist/train/<class>/",
        f"{tmp_path}/MNIST/raw/*-ubyte",
        f"{own_cache}/downloads/mnist/MNIST/raw/*-ubyte",
        "URLError: <urlopen error no network here>",
        "KANLIB_DATA",
    ):
        assert hint in str(caught.value)
    assert not list((own_cache / "downloads").iterdir())


def downloading_mnist(splits: tuple[str, ...]) -> type:
    """torchvision's class, but its network has ``splits`` only."""

    class MNIST(torchvision.datasets.mnist.MNIST):
        def download(self) -> None:
            write_mnist(Path(self.root), splits)
            if "test" not in splits:
                raise RuntimeError("Error downloading")

    return MNIST


def test_what_was_downloaded_once_is_found_again(monkeypatch):
    monkeypatch.setattr(torchvision.datasets, "MNIST", downloading_mnist(("train", "test")))
    assert_is_the_small_mnist(load_images("mnist"))
    monkeypatch.setattr(torchvision.datasets, "MNIST", downloading_mnist(()))
    assert_is_the_small_mnist(load_images("mnist"))


def test_the_slower_of_two_downloads_takes_what_the_faster_left(monkeypatch, own_cache):
    class MNIST(torchvision.datasets.mnist.MNIST):
        def download(self) -> None:
            write_mnist(Path(self.root))
            write_mnist(own_cache / "downloads" / "mnist")  # another process is done first

    monkeypatch.setattr(torchvision.datasets, "MNIST", MNIST)
    assert_is_the_small_mnist(load_images("mnist"))


def test_a_broken_download_is_not_taken_for_the_data(monkeypatch, own_cache):
    monkeypatch.setattr(torchvision.datasets, "MNIST", downloading_mnist(("train",)))
    with pytest.raises(FileNotFoundError, match=r"(?s)dataset='mnist' .*Error downloading"):
        load_images("mnist")
    assert not list((own_cache / "downloads").iterdir())


@pytest.mark.parametrize(
    ("name", "marker", "channels_last"),
    [("cifar10", "cifar-10-batches-py/data_batch_1", True), ("svhn", "train_32x32.mat", False)],
)
def test_colours_come_first_whatever_the_layout(tmp_path, monkeypatch, name, marker, channels_last):
    # torchvision checks the MD5 of these files, so a stand-in for its class holds the pixels.
    pixels = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)

    class Dataset:
        data = pixels.transpose(0, 2, 3, 1) if channels_last else pixels
        targets = labels = np.array([0, 2, 1, 1, 0])
        classes = ("plane", "car", "bird")

        def __init__(self, root: str, **_: object) -> None:
            assert root == str(tmp_path)

    kind = expect_counts(monkeypatch, name, (5, 5))
    monkeypatch.setattr(torchvision.datasets, kind, Dataset)
    (tmp_path / marker).parent.mkdir(exist_ok=True)
    (tmp_path / marker).touch()
    images = load_images(name, tmp_path)
    np.testing.assert_allclose(images.test.images, pixels / 127.5 - 1, rtol=0, atol=1e-6)
    assert images.train.labels.tolist() == [0, 2, 1, 1, 0]
    named = Dataset.classes if name == "cifar10" else tuple("0123456789")
    assert images.classes == named


def svhn_test_split(monkeypatch, root, pixels, labels):
    """torchvision's SVHN, whose test split is ``pixels`` (N, 3, 32, 32) of ``labels``."""

    class SVHN:
        data = pixels

        def __init__(self, where: str, split: str) -> None:
            assert (where, split) == (str(root), "test")
            self.labels = labels

    monkeypatch.setattr(torchvision.datasets, "SVHN", SVHN)
    (root / "test_32x32.mat").touch()


def test_the_svhn_subset_is_cut_from_the_test_split(tmp_path, monkeypatch):
    pixels = np.arange(7, dtype=np.uint8).repeat(3 * 32 * 32).reshape(7, 3, 32, 32)
    svhn_test_split(monkeypatch, tmp_path, pixels, np.array([5, 3, 5, 0, 9, 1, 2]))
    expect_counts(monkeypatch, "svhn-test10k", (4, 2))
    images = load_images("svhn-test10k", tmp_path)
    splits = (images.train, images.test)
    values = [split.images[:, 0, 0, 0].add(1).mul(127.5).round().tolist() for split in splits]
    assert values == [[3, 1, 0, 2], [5, 4]]
    assert images.train.labels.tolist() == [0, 3, 5, 5]
    assert images.test.labels.tolist() == [1, 9]


def test_the_command_line_describes_data_sets(tmp_path, monkeypatch, capsys):
    write_mnist(tmp_path)
    monkeypatch.setenv("KANLIB_DATA", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["kanlib.data", "mnist"])
    assert __main__.main() == 0
    expected = "mnist: 6 training and 4 test images of 784 values (1, 28, 28), 10 classes\n"
    assert capsys.readouterr().out == expected
    monkeypatch.setattr(sys, "argv", ["kanlib.data", "cats"])
    assert __main__.main() == 1
    assert "dataset='cats' " in capsys.readouterr().err


def real(folder: str) -> pytest.MarkDecorator:
    there = (REAL_DATA / folder).is_dir()
    return pytest.mark.skipif(not there, reason=f"KANLIB_DATA has no {folder}/")


@real("MNIST")
def test_the_real_mnist_has_its_known_mean_and_counts(monkeypatch):
    monkeypatch.setitem(DATASETS, "mnist", REAL_MNIST)
    images = load_images("mnist", REAL_DATA)
    assert images.train.images.shape == (60_000, 1, 28, 28)
    assert images.test.images.shape == (10_000, 1, 28, 28)
    assert (images.train.images.min(), images.train.images.max()) == (-1, 1)
    assert (images.train.images.mean() + 1).item() / 2 == pytest.approx(0.1307, abs=1e-4)
    assert images.train.images.std().item() / 2 == pytest.approx(0.3081, abs=1e-4)
    ones = [int((split.labels == 1).sum()) for split in (images.train, images.test)]
    assert ones == [6742, 1135]


@real("svhn-test10k")
def test_the_real_svhn_subset_is_the_same_from_torchvision(tmp_path, monkeypatch):
    there = load_images("svhn-test10k", REAL_DATA)
    assert there.train.images.shape == (7_999, 3, 32, 32)
    assert there.test.images.shape == (2_001, 3, 32, 32)
    assert there.classes == tuple("0123456789")
    assert set(there.test.labels.tolist()) == set(range(10))
    # <digit>/<index>.png: the index is that of the official test split
    folders = [REAL_DATA / "svhn-test10k" / split for split in ("train", "test")]
    names = [path.stem for folder in folders for path in sorted(folder.rglob("*.png"))]
    order, splits = np.argsort(names), (there.train, there.test)
    values = torch.cat([split.images for split in splits])[order].add(1).mul(127.5).round()
    labels = torch.cat([split.labels for split in splits])[order].numpy()
    svhn_test_split(monkeypatch, tmp_path, values.byte().numpy(), labels)
    assert load_images("svhn-test10k", tmp_path).fingerprint == there.fingerprint
