"""Data sets found, decoded, checked and cached; everything lies in temporary folders."""

import shutil
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import COUNTS, write_folder
from PIL import Image

from kanlib.data import cache, load_images, sources

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def pets(tmp_path):
    write_folder(tmp_path / "root" / "pets")
    return tmp_path / "root" / "pets"


@pytest.fixture
def no_decoder(monkeypatch):
    """Call it, and whatever is not in the cache can no longer be read."""

    def fail(*_: object) -> None:
        raise AssertionError("something was decoded")

    def remove() -> None:
        for name in ("_decode_folders", "_decode_torchvision"):
            monkeypatch.setattr(sources, name, fail)

    return remove


def test_digits_are_the_1797_of_scikit_learn_and_no_image_is_in_both_splits(digits):
    assert digits.shape == (1, 8, 8)
    assert (len(digits.train), len(digits.test)) == (1437, 360)
    assert digits.classes == tuple("0123456789")
    for split in (digits.train, digits.test):
        assert split.images.dtype == torch.float32
        assert split.labels.dtype == torch.int64
        assert (split.images.min(), split.images.max()) == (-1, 1)
        shares = split.labels.bincount() / len(split)
        assert shares.min() > 0.09
        assert shares.max() < 0.11
    rows = [{image.numpy().tobytes() for image in s.images} for s in (digits.train, digits.test)]
    assert not rows[0] & rows[1]


def test_digits_are_the_same_every_time(digits):
    again = load_images("digits")
    assert again.fingerprint == digits.fingerprint
    assert torch.equal(again.test.images, digits.test.images)
    assert len(digits.fingerprint) == 64


def test_images_can_be_moved(digits):
    moved = digits.to("meta")
    assert moved.train.images.device.type == moved.test.labels.device.type == "meta"
    assert digits.train.images.device.type == "cpu"
    assert moved.fingerprint == digits.fingerprint


@pytest.mark.parametrize("channels", [1, 3], ids=["grey", "colour"])
@pytest.mark.parametrize("by", ["name", "folder", "environment"])
def test_a_folder_of_images_is_read_pixel_by_pixel(tmp_path, channels, by, monkeypatch):
    pixels = write_folder(tmp_path / "root" / "pets", channels)
    root = {"name": tmp_path / "root", "folder": tmp_path / "root" / "pets", "environment": None}
    monkeypatch.setenv("KANLIB_DATA", str(tmp_path / ("root" if by == "environment" else "none")))
    images = load_images("folder" if by == "folder" else "pets", root[by])
    assert images.shape == (channels, 5, 4)
    assert images.classes == ("cat", "dog")
    for split, of in (("train", images.train), ("test", images.test)):
        expected = (pixels[split] / 255 - 0.5) / 0.5
        np.testing.assert_allclose(of.images, expected, rtol=0, atol=1e-6)
        assert of.labels.tolist() == [0] * COUNTS[split] + [1] * COUNTS[split]


def test_the_second_load_comes_from_the_cache(pets, no_decoder):
    first = load_images("pets", pets.parent)
    no_decoder()
    second = load_images("pets", pets.parent)
    assert torch.equal(second.train.images, first.train.images)
    assert torch.equal(second.test.labels, first.test.labels)
    assert (second.classes, second.fingerprint) == (first.classes, first.fingerprint)


def test_the_cache_may_be_anywhere(pets, tmp_path, own_cache):
    load_images("pets", pets.parent, cache=tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere" / "decoded").glob("pets-*/train_images.npy"))
    assert not own_cache.exists()


def invert(file: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda pets: invert(pets / "train/cat/0.png"),
        lambda pets: (pets / "train/cat/0.png").unlink(),
        lambda pets: (pets / "test/dog/1.png").rename(pets / "test/cat/9.png"),
    ],
    ids=["changed", "removed", "moved"],
)
def test_a_changed_file_is_read_again(pets, change):
    before = load_images("pets", pets.parent)
    change(pets)
    assert load_images("pets", pets.parent).fingerprint != before.fingerprint


def flip_last_byte(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 255]))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("train_images.npy", flip_last_byte),
        ("train_images.npy", lambda file: file.write_bytes(file.read_bytes()[:-7])),
        ("test_labels.npy", lambda file: file.write_bytes(b"")),
        ("test_labels.npy", lambda file: file.write_bytes(b"\x93NUMPY\x01\x00\x76\x00{")),
        ("test_images.npy", lambda file: file.unlink()),
        ("meta.json", lambda file: file.write_text(file.read_text()[:-9])),
        ("meta.json", lambda file: file.write_text("[]")),
        ("meta.json", lambda file: file.write_text('{"hashes": {}}')),
    ],
)
def test_a_damaged_cache_is_made_anew(pets, own_cache, name, damage, no_decoder):
    before = load_images("pets", pets.parent)
    (kept,) = (own_cache / "decoded").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o755  # others may share the cache
    damage(kept / name)
    assert load_images("pets", pets.parent).fingerprint == before.fingerprint
    no_decoder()
    again = load_images("pets", pets.parent)
    assert torch.equal(again.train.images, before.train.images)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_cache_only_warns_and_leaves_nothing_half_written(pets, own_cache, monkeypatch):
    monkeypatch.setattr(np, "save", full_disk)
    with pytest.warns(UserWarning, match="could not be kept in .*No space left"):
        images = load_images("pets", pets.parent)
    assert len(images.train) == 6
    assert not list((own_cache / "decoded").iterdir())


def test_a_full_cache_warns_of_a_damaged_copy_too(pets, own_cache, monkeypatch):
    load_images("pets", pets.parent)
    (kept,) = (own_cache / "decoded").iterdir()
    (kept / "meta.json").unlink()
    monkeypatch.setattr(np, "save", full_disk)
    with pytest.warns(UserWarning, match="could not be kept in .*No space left"):
        assert len(load_images("pets", pets.parent).train) == 6
    assert list((own_cache / "decoded").iterdir()) == [kept]


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_copy_of_another_process_stands_in_for_ones_own(tmp_path, monkeypatch, whole):
    target = tmp_path / "decoded" / "pets"
    arrays: cache.Arrays = {"train_labels": np.arange(3)}
    hashes = {"train_labels": cache.digest(arrays["train_labels"])}
    cache.write(target, arrays, ("cat",), hashes)
    if not whole:
        (target / "meta.json").unlink()
    remove = shutil.rmtree

    def remove_others(path: Path, ignore_errors: bool) -> None:  # as if it came just after
        if path != target:
            remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", remove_others)
    with nullcontext() if whole else pytest.raises(OSError, match="not empty"):
        cache.write(target, arrays, ("cat",), hashes)
    assert list(target.parent.iterdir()) == [target]


def test_a_cache_that_cannot_be_made_only_warns(pets, own_cache):
    own_cache.write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="could not be kept"):
        assert len(load_images("pets", pets.parent).train) == 6


def write_image(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


GREY = np.zeros((5, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda pets: (f := pets / "test/dog/1.png").write_bytes(f.read_bytes()[:-30]),
            "1.png is corrupt",
        ),
        (lambda pets: (pets / "train/cat/1.png").write_bytes(b"text"), "1.png is corrupt or not"),
        (
            lambda pets: write_image(pets / "train/dog/x.png", GREY.T),
            r"x.png has shape .* \(1, 4, 5\), but .*0.png has \(1, 5, 4\)",
        ),
        (
            lambda pets: write_image(pets / "train/dog/x.png", np.stack([GREY] * 3, -1)),
            r"x.png has shape .* \(3, 5, 4\)",
        ),
        (
            lambda pets: write_image(pets / "train/dog/x.png", GREY.astype(np.uint16)),
            "x.png has more than 8 bits",
        ),
        (
            lambda pets: write_image(pets / "test/bird/x.png", GREY),
            r"train has classes \['cat', 'dog'\], test has \['bird', 'cat', 'dog'\]",
        ),
        (
            lambda pets: [
                write_image(file, np.zeros((6, 6), np.uint8)) for file in pets.glob("test/*/*")
            ],
            r"train images have shape \(1, 5, 4\), test images \(1, 6, 6\)",
        ),
        (lambda pets: [file.unlink() for file in pets.glob("test/cat/*")], "cat"),
    ],
    ids="truncated text size colour 16-bit classes splits empty".split(),
)
def test_what_is_wrong_with_a_folder_is_named(pets, own_cache, spoil, message):
    spoil(pets)
    with pytest.raises(
        ValueError, match=f"(?s)dataset='pets' in .*pets cannot be read: .*{message}"
    ):
        load_images("pets", pets.parent)
    assert not own_cache.exists()


def test_an_unknown_name_lists_the_places_looked_at(tmp_path):
    (tmp_path / "half" / "train").mkdir(parents=True)
    for name in ("cats", "half"):
        with pytest.raises(FileNotFoundError) as caught:
            load_images(name, tmp_path)
        assert f"{tmp_path}/{name}/train/<class>/" in str(caught.value)
        assert "digits, mnist, cifar10, svhn" in str(caught.value)
    with pytest.raises(FileNotFoundError, match="KANLIB_DATA is not set"):
        load_images("cats")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp", "pets/"])
def test_a_path_is_no_name(name, tmp_path):
    with pytest.raises(ValueError, match="must be the name of a data set, not a path"):
        load_images(name, tmp_path)


@pytest.mark.parametrize("name", ["mnist", "pets", "folder"])
def test_a_root_that_is_missing_is_an_error(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"root='.*none' .* is not a folder"):
        load_images(name, tmp_path / "none")
