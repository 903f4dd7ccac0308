"""Data sets are found, decoded, checked and cached; everything lies in temporary folders."""

import os
import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from folders import COUNTS, write_folder
from PIL import Image

from kanlib.data import DATASETS, Images, Split, cache, datasets, folders, load_images

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def pets(tmp_path):
    write_folder(tmp_path / "root" / "pets")
    return tmp_path / "root" / "pets"


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


def test_images_can_be_moved(digits):
    moved = digits.to("meta")
    assert moved.train.images.device.type == moved.test.labels.device.type == "meta"
    assert digits.train.images.device.type == "cpu"
    assert moved.fingerprint == load_images("digits").fingerprint == digits.fingerprint


@pytest.mark.parametrize(
    ("by", "channels"), [("name", 1), ("folder", 3), ("environment", 1)], ids=str
)
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


def fail(*_: object, **__: object) -> None:
    raise AssertionError("an image was read")


def test_the_second_load_comes_from_the_cache(pets, monkeypatch):
    first = load_images("pets", pets.parent)
    monkeypatch.setattr(folders, "_read_image", fail)
    second = load_images("pets", pets.parent)
    assert torch.equal(second.train.images, first.train.images)
    assert torch.equal(second.test.labels, first.test.labels)
    assert (second.classes, second.fingerprint) == (first.classes, first.fingerprint)


def invert(file: Path) -> None:
    Image.fromarray(255 - np.asarray(Image.open(file))).save(file)


def overwrite(file: Path) -> None:
    """Other content of the same size and time."""
    content, stat = file.read_bytes(), file.stat()
    invert(file)
    file.write_bytes(file.read_bytes().ljust(len(content), b"\0")[: len(content)])
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize(
    "change",
    [
        lambda pets: invert(pets / "train/cat/0.png"),
        lambda pets: overwrite(pets / "train/cat/0.png"),
        lambda pets: (pets / "train/cat/0.png").unlink(),
        lambda pets: (pets / "test/dog/1.png").rename(pets / "test/cat/9.png"),
    ],
    ids=["changed", "overwritten", "removed", "moved"],
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
        ("test_labels.npy", lambda file: file.write_bytes(b"\x93NUMPY\x01\x00\x76\x00{")),
        ("test_images.npy", lambda file: file.unlink()),
        ("meta.json", lambda file: file.write_text(file.read_text()[:-9])),
        ("meta.json", lambda file: file.write_text('{"hashes": {}}')),
    ],
)
def test_a_damaged_cache_is_made_anew(pets, own_cache, name, damage, monkeypatch):
    before = load_images("pets", pets.parent)
    (kept,) = (own_cache / "decoded").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o755  # others may share the cache
    damage(kept / name)
    assert load_images("pets", pets.parent).fingerprint == before.fingerprint
    monkeypatch.setattr(folders, "_read_image", fail)
    again = load_images("pets", pets.parent)
    assert torch.equal(again.train.images, before.train.images)


def full_disk(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_a_full_cache_only_warns_and_leaves_nothing_half_written(pets, own_cache, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full_disk)
        with pytest.warns(UserWarning, match=f"{own_cache}.*No space left"):
            assert len(load_images("pets", pets.parent).train) == 6
    assert not list((own_cache / "decoded").iterdir())
    own_cache.joinpath("decoded").rmdir()
    own_cache.joinpath("decoded").touch()  # a file where the folder should be
    with pytest.warns(UserWarning, match=str(own_cache)):
        assert len(load_images("pets", pets.parent).train) == 6


@pytest.mark.parametrize("whole", [True, False])
def test_only_a_whole_copy_of_another_process_stands_in_for_ones_own(tmp_path, monkeypatch, whole):
    target = tmp_path / "decoded" / "pets"
    made = cache.Decoded({"train_labels": np.arange(3)}, ("cat",))
    hashes = {"train_labels": cache.array_hash(made.arrays["train_labels"])}
    cache.write_cached(target, made, hashes)
    if not whole:
        (target / "meta.json").unlink()
    remove = shutil.rmtree

    def remove_others(path: Path, ignore_errors: bool) -> None:  # as if it were written just now
        if path != target:
            remove(path, ignore_errors=ignore_errors)

    monkeypatch.setattr(shutil, "rmtree", remove_others)
    with nullcontext() if whole else pytest.raises(OSError, match=str(target)):
        cache.write_cached(target, made, hashes)
    assert list(target.parent.iterdir()) == [target]


def write_image(file: Path, array: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(file)


GREY = np.zeros((5, 4), dtype=np.uint8)


@pytest.mark.parametrize(
    ("spoil", "stated"),
    [
        (
            lambda pets: (f := pets / "test/dog/1.png").write_bytes(f.read_bytes()[:-30]),
            "test/dog/1.png",
        ),
        (
            lambda pets: write_image(pets / "train/dog/x.png", GREY.T),
            r"x.png .*\(4, 5\).* \(5, 4\)",
        ),
        (
            lambda pets: write_image(pets / "train/dog/x.png", GREY.astype(np.uint16)),
            "x.png",
        ),
        (
            lambda pets: write_image(pets / "test/bird/x.png", GREY),
            "only test has 1: 'bird'",
        ),
        (
            lambda pets: [
                write_image(file, np.zeros((6, 6), np.uint8)) for file in pets.glob("test/*/*")
            ],
            r"test/cat/0.png .*\(6, 6\).*\(5, 4\)",
        ),
        (lambda pets: [file.unlink() for file in pets.glob("test/cat/*")], "cat"),
    ],
    ids="truncated size 16-bit classes splits empty".split(),
)
def test_what_is_wrong_with_a_folder_is_named(pets, own_cache, spoil, stated):
    spoil(pets)
    with pytest.raises(ValueError, match=f"(?s)dataset='pets' in {pets} .*{stated}"):
        load_images("pets", pets.parent)
    assert not own_cache.exists()


def test_an_unknown_name_lists_the_places_looked_at(tmp_path):
    (tmp_path / "half" / "train").mkdir(parents=True)
    for name in ("cats", "half"):
        with pytest.raises(FileNotFoundError) as caught:
            load_images(name, tmp_path)
        assert f"{tmp_path}/{name}/train/<class>/" in str(caught.value)
        assert "digits, mnist, fashion-mnist, cifar10, svhn" in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"dataset='cats' .*\n.*KANLIB_DATA"):
        load_images("cats")


@pytest.mark.parametrize("name", ["", "..", "a/b", "/tmp"])
def test_what_is_not_a_name_is_refused(name, tmp_path):
    with pytest.raises(ValueError, match=f"dataset={name!r} "):
        load_images(name, tmp_path)


@pytest.mark.parametrize("name", ["mnist", "pets"])
def test_a_root_that_is_missing_is_an_error(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"root='{tmp_path}/none' "):
        load_images(name, tmp_path / "none")


SQUARE = torch.rand(6, 1, 8, 8)
LABELS = torch.tensor([0, 0, 0, 1, 1, 1])


@pytest.mark.parametrize(
    ("images", "labels", "stated"),
    [
        (SQUARE.byte(), LABELS, "images of shape (6, 1, 8, 8) and torch.uint8 "),
        (SQUARE[:, 0], LABELS, "images of shape (6, 8, 8) "),
        (SQUARE[:0], LABELS[:0], "images of shape (0, 1, 8, 8) "),
        (SQUARE, LABELS[:5], "labels of shape (5,) "),
        (SQUARE, LABELS / 2, "labels of shape (6,) and torch.float32 "),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_split_of_other_tensors_is_refused(images, labels, stated):
    with pytest.raises(ValueError, match=re.escape(stated)):
        Split(images, labels)


@pytest.mark.parametrize(
    ("images", "labels", "named"),
    [
        (np.zeros((2, 1, 4, 4)), torch.arange(2), "images .*ndarray"),
        (torch.zeros(2, 1, 4, 4), [0, 1], "labels .*list"),
        (torch.zeros(2, 1, 4, 4).to_sparse(), torch.arange(2), "images .*dense"),
    ],
    ids=["array", "list", "sparse"],
)
def test_images_and_labels_are_dense_tensors(images: Any, labels: Any, named: str):
    with pytest.raises(ValueError, match=named):
        Split(images, labels)


@pytest.mark.parametrize("classes", [["a", "b"], "ab", None])
def test_names_of_classes_are_a_tuple(classes: Any):
    split = Split(torch.zeros(2, 1, 4, 4), torch.arange(2))
    with pytest.raises(ValueError, match=re.escape(f"classes={classes!r} must be a tuple")):
        Images("own", split, split, classes)


def noise(**changes: object) -> tuple[dict, tuple[str, ...]]:
    """A toy data set; what is changed to None is left out."""
    draw, arrays = np.random.default_rng(0), {}
    for split, count in (("train", 30), ("test", 10)):
        images = draw.uniform(-1, 1, (count, 1, 4, 4)).astype(np.float32)
        arrays |= {f"{split}_images": images, f"{split}_labels": np.arange(count) % 2}
    changed = {key: value for key, value in (arrays | changes).items() if value is not None}
    return changed, ("even", "odd")


def test_a_new_data_set_is_one_function_and_one_line_in_the_registry(monkeypatch, own_cache):
    monkeypatch.setitem(DATASETS, "noise", noise)
    images = load_images("noise")
    expected, classes = noise()
    assert (images.name, images.shape, images.classes) == ("noise", (1, 4, 4), classes)
    for name, split in (("train", images.train), ("test", images.test)):
        assert torch.equal(split.images, torch.from_numpy(expected[f"{name}_images"]))
        assert torch.equal(split.labels, torch.from_numpy(expected[f"{name}_labels"]))
    assert load_images("noise").fingerprint == images.fingerprint
    assert not own_cache.exists()  # a function may return other arrays the next time

    changed = {"test_labels": 1 - expected["test_labels"]}
    monkeypatch.setitem(DATASETS, "noise", lambda: noise(**changed))
    assert load_images("noise").fingerprint != images.fingerprint


@pytest.mark.parametrize(
    ("changes", "stated"),
    [
        ({"test_labels": None}, r"arrays=\['train_images', 'train_labels', 'test_images'\]"),
        ({"more": np.zeros(1)}, r"arrays=.*'more'"),
        ({"train_images": np.zeros((30, 4, 4), np.float32)}, r"images .*\(30, 4, 4\)"),
        ({"train_images": np.zeros((30, 1, 4, 4))}, r"train_images .*float64"),
        ({"test_images": np.zeros((10, 1, 5, 4), np.float32)}, r"test images .*\(10, 1, 5, 4\)"),
        ({"train_images": np.full((30, 1, 4, 4), 255, np.float32)}, r"train images .*255"),
        ({"test_images": np.full((10, 1, 4, 4), np.nan, np.float32)}, r"test images .*nan"),
        ({"test_labels": np.zeros(9, int)}, r"labels .*\(9,\)"),
        ({"train_labels": np.arange(30)}, r"train labels .*29"),
        ({"test_labels": np.arange(10) - 1}, r"test labels .*-1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_wrong_with_a_new_data_set_is_named(monkeypatch, changes, stated):
    monkeypatch.setitem(DATASETS, "noise", lambda: noise(**changes))
    with pytest.raises(ValueError, match=f"dataset='noise' .*{stated}"):
        load_images("noise")


def test_classes_are_told_apart_by_names_that_a_record_can_hold(monkeypatch):
    for classes in (("even", "even"), ("even", 1), ("even", "o\udce9"), ("even", "o\ndd")):
        monkeypatch.setitem(DATASETS, "noise", lambda classes=classes: (noise()[0], classes))
        with pytest.raises(ValueError, match=r"dataset='noise' .*classes: "):
            load_images("noise")


@pytest.mark.parametrize(
    ("changes", "classes", "said"),
    [
        ({"train_labels": np.zeros(30, int)}, ("a", "b"), "1 class has no train images, as 'b'"),
        ({}, ("a", "b", "c", "d"), "2 classes have no test images, as 'c'"),
        ({f"{s}_labels": np.zeros(n, int) for s, n in (("train", 30), ("test", 10))}, "a", "one c"),
        ({"train_labels": np.arange(30)}, tuple(map(str, range(30))), "most of the 30 classes"),
        ({}, ("Cat", "cat "), "'Cat' and 'cat ' look alike"),
        (
            {"test_images": noise()[0]["train_images"][:10]},
            ("a", "b"),
            "10 test images have the same",
        ),
    ],
    ids=["one split", "neither", "single", "many", "alike", "repeated"],
)
def test_what_is_odd_is_said_and_kept(monkeypatch, changes, classes, said):
    monkeypatch.setitem(DATASETS, "noise", lambda: (noise(**changes)[0], tuple(classes)))
    with pytest.warns(UserWarning, match=f"dataset='noise': .*{said}"):
        images = load_images("noise")
    assert any(said in note for note in images.notes)


def test_a_folder_with_the_name_of_a_function_is_not_passed_over(tmp_path):
    write_folder(tmp_path / "digits")
    with pytest.raises(ValueError, match=f"dataset='digits' .*{tmp_path}/digits"):
        load_images("digits", tmp_path)


def first(split: Split, count: int) -> Split:
    return Split(split.images[:count], split.labels[:count])


def test_only_the_whole_data_set_has_its_fingerprint(pets):
    whole = load_images("pets", pets.parent)
    same = replace(whole, name="others").to("cpu")
    assert same.fingerprint == whole.fingerprint
    cut = {replace(whole, test=first(whole.test, n)).fingerprint for n in (1, 2, 3)}
    assert len(cut | {whole.fingerprint}) == 4
    assert replace(whole, test=first(whole.test, 3)).fingerprint in cut
    before = whole.fingerprint
    whole.train.images[0] = 0  # in place
    assert whole.fingerprint != before


def test_images_of_the_users_own_are_checked():
    split = Split(SQUARE, LABELS)
    assert Images("own", split, split, ("a", "b")).fingerprint
    for train, test in ((SQUARE * 3, SQUARE), (SQUARE, SQUARE - 3), (SQUARE, SQUARE[:, :, 1:])):
        with pytest.raises(ValueError, match="images "):
            Images("own", Split(train, LABELS), Split(test, LABELS), ("a", "b"))
    window = SQUARE[:, :, :1]
    windows = Images("own", Split(window, LABELS), Split(window * 3, LABELS), ("a", "b"))
    assert windows.test.images.max() > 1


@pytest.mark.parametrize("kept", [False, True], ids=["new", "in the cache"])
def test_data_that_do_not_fit_into_memory_are_not_read(pets, monkeypatch, kept):
    if kept:
        load_images("pets", pets.parent)
    monkeypatch.setattr(folders, "_read_image", fail)
    monkeypatch.setattr(datasets.psutil, "virtual_memory", lambda: SimpleNamespace(available=999))
    with pytest.raises(MemoryError, match=f"dataset='pets' in {pets} .*0.0 GiB.*0.0 GiB"):
        load_images("pets", pets.parent)  # 10 images of 20 values: 1,000 bytes
