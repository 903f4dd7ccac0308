"""Image folders as people have them: links, hidden files, damage, and images of all kinds."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from folders import write_folder
from PIL import Image

from kanlib.data import Images, load_images
from kanlib.data.__main__ import main
from kanlib.experiments import Run, execute, load_record

pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """Six grey images to train on and four to test on, of 5 x 4 pixels."""
    write_folder(tmp_path / "root" / "pets")
    return tmp_path / "root" / "pets"


def load(pets: Path) -> Images:
    return load_images("pets", pets.parent)


def load_noting(pets: Path, *said: str) -> Images:
    """Load twice, the second time from the cache; each of ``said`` is a warning and a note."""
    images = None
    for _ in range(2):
        with pytest.warns(UserWarning, match="dataset='pets': ") as warned:
            images = load(pets)
        assert len(warned) == 1
        for text in said:
            assert text in str(warned[0].message)
            assert any(text in note for note in images.notes)
    assert images is not None
    return images


def pixels_of(images: Images, index: int = -1) -> np.ndarray:
    """Of a training image, the last by default: (C, H, W), from 0 to 255."""
    return images.train.images[index].add(1).mul(127.5).round().numpy().astype(int)


def put(pets: Path, image: Image.Image, name: str = "x.png", **options: Any) -> Path:
    """Beside the last training images."""
    file = pets / "train" / "dog" / name
    image.save(file, **options)
    return file


GREY = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(5, 4))


def test_a_linked_class_is_read_anew_when_it_changes(pets, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    shutil.rmtree(pets / "train" / "cat")
    (pets / "train" / "cat").symlink_to(tmp_path / "elsewhere")
    for count, shade in ((4, 0), (7, 255)):
        for i in range(count):
            Image.new("L", (4, 5), shade).save(tmp_path / "elsewhere" / f"{i}.png")
        images = load(pets)
        assert len(images.train) == count + 3
        assert images.train.images[:count].unique().tolist() == [shade / 127.5 - 1]


def test_a_file_is_read_anew_when_its_link_leads_elsewhere(pets, tmp_path):
    for shade in (0, 255):
        Image.new("L", (4, 5), shade).save(tmp_path / f"{shade}.bmp")  # of equal size
        os.utime(tmp_path / f"{shade}.bmp", (9, 9))
    link = pets / "train" / "dog" / "x.bmp"
    for shade in (0, 255):
        link.unlink(missing_ok=True)
        link.symlink_to(tmp_path / f"{shade}.bmp")
        assert pixels_of(load(pets)).max() == shade


def test_hidden_files_and_folders_are_left_out(pets):
    plain = load(pets)
    for split in ("train", "test"):
        for folder in (".ipynb_checkpoints", "__MACOSX", "cat/.ipynb_checkpoints", "cat/@eaDir"):
            (pets / split / folder).mkdir()
            GREY.save(pets / split / folder / "0-checkpoint.png")
    (pets / "train" / "cat" / "._0.png").write_bytes(b"\0\5\x16\7")
    images = load_noting(pets, "left out: 9 hidden")
    assert images.fingerprint == plain.fingerprint
    assert images.classes == ("cat", "dog")


def test_what_pillow_cannot_read_is_counted_and_named(pets):
    for name in ("a.heic", "b.HEIC", "Thumbs.db", "README", "c.eps"):
        (pets / "train" / "cat" / name).touch()
    (pets / "test" / "labels.csv").touch()
    (pets / "val").mkdir()
    images = load_noting(
        pets,
        "2 .heic (not",
        "1 .db (not",
        "1 without ending",
        "1 .eps",
        "1 beside",
        "val/ not read",
    )
    assert len(images.train) == 6
    (pets / "train" / "cat" / "d.heic").touch()
    load_noting(pets, "3 .heic")


@pytest.mark.parametrize("ending", ["jfif", "JPG", "gif", "png", "tiff", "webp", "bmp", "pgm"])
def test_every_ending_that_pillow_reads_is_read(pets, ending):
    lossless = {"lossless": True, "quality": 100}
    image = GREY.convert("RGB") if ending == "webp" else GREY
    put(pets, image, f"x.{ending}", **(lossless if ending == "webp" else {"quality": 100}))
    said = "1 image was grey in three channels, and got one"
    images = load_noting(pets, said) if ending in ("gif", "webp") else load(pets)
    assert len(images.train) == 7
    np.testing.assert_allclose(pixels_of(images)[0], np.asarray(GREY), atol=2)


def test_an_image_is_turned_as_a_viewer_turns_it(pets):
    exif = Image.Exif()
    exif[0x0112] = 6  # show it turned by 90 degrees, clockwise
    stored = GREY.transpose(Image.Transpose.ROTATE_90)  # counter-clockwise
    put(pets, stored, "x.png", exif=exif)
    images = load_noting(pets, "1 image was turned as the EXIF data say")
    assert np.array_equal(pixels_of(images)[0], np.asarray(GREY))


def transparent(mode: str) -> Image.Image:
    """Half of it transparent, over other colours."""
    image = GREY.convert(mode)
    image.putalpha(Image.fromarray(np.repeat([[255, 255, 0, 0]], 5, axis=0).astype(np.uint8)))
    return image


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_transparent_images_lie_on_white(pets, mode):
    put(pets, transparent(mode))
    said = ["1 image was transparent in part, and laid over white"]
    said += ["1 image was grey in three channels"] if mode == "RGB" else []
    images = load_noting(pets, *said)
    seen = np.asarray(GREY).copy()
    seen[:, 2:] = 255
    assert (pixels_of(images) == seen).all()


def test_one_transparent_shade_lies_on_white(pets):
    put(pets, GREY, transparency=7)
    seen = np.where(np.asarray(GREY) == 7, 255, np.asarray(GREY))
    assert (pixels_of(load_noting(pets, "laid over white")) == seen).all()


def test_an_opaque_alpha_channel_changes_nothing_and_is_not_mentioned(pets):
    put(pets, GREY.convert("LA"))
    assert (pixels_of(load(pets)) == np.asarray(GREY)).all()


def test_grey_among_colours_has_three_channels_in_both_splits(pets):
    plain = pixels_of(load(pets), 0)
    red = Image.new("RGB", (4, 5), "red")
    red.save(pets / "test" / "cat" / "x.png")
    images = load_noting(pets, "10 images were grey among images in colour")
    assert images.shape == (3, 5, 4)
    assert (pixels_of(images, 0) == plain).all()


@pytest.mark.parametrize("ending", ["gif", "png", "webp", "tiff"])
def test_of_several_frames_the_first_is_taken(pets, ending):
    frames = [Image.new("RGB", (4, 5), colour) for colour in ("red", "blue")]
    extra = {"lossless": True} if ending == "webp" else {}
    put(pets, frames[0], f"x.{ending}", save_all=True, append_images=frames[1:], **extra)
    images = load_noting(pets, "1 image was animated or of several pages; the first was taken")
    assert pixels_of(images)[:, 0, 0].tolist() == [255, 0, 0]


def test_other_colour_models_are_converted_and_counted(pets):
    put(pets, Image.new("CMYK", (4, 5)), "x.tiff")
    load_noting(pets, "1 image was converted from CMYK to RGB")


def deep_colours(file: Path) -> None:
    """A PNG with 16 bits a channel, which Pillow reads but cannot write."""
    import struct
    import zlib

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content))
            + kind
            + content
            + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", 4, 5, 16, 2, 0, 0, 0)
    rows = zlib.compress((b"\0" + bytes(4 * 6)) * 5)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def zero_chunk_name(file: Path) -> None:
    GREY.save(file)
    content = bytearray(file.read_bytes())
    content[12:16] = bytes(4)
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("x.png", deep_colours),
        ("x.png", zero_chunk_name),
        ("x.pgm", lambda file: file.write_text("P5\nhello\n")),
        ("x.png", lambda file: file.touch()),
        ("x.png", lambda file: file.write_text("a text")),
        (
            "x.png",
            lambda file: file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 5\n"),
        ),
        ("x.png", lambda file: file.symlink_to("nowhere")),
        ("x.png", lambda file: file.symlink_to(file)),
        ("x.png", os.mkfifo),
        ("../x", lambda file: file.symlink_to("nowhere")),
    ],
    ids="deep chunk pgm empty text eps dangling itself pipe class".split(),
)
def test_a_file_that_is_no_image_is_named(pets, own_cache, name, make):
    file = pets / "train" / "dog" / name
    make(file)
    with pytest.raises(ValueError, match=f"dataset='pets' in {pets} .*{file.name}"):
        load(pets)
    assert not own_cache.exists()


def test_a_link_back_is_not_followed(pets):
    plain = load(pets)
    (pets / "train" / "cat" / "again").symlink_to(pets / "train" / "cat")
    (pets / "train" / "cat" / "all").symlink_to(pets)
    images = load_noting(pets, "2 linked to a folder that holds it")
    assert images.fingerprint == plain.fingerprint


def test_a_folder_that_may_not_be_entered_is_named(pets, monkeypatch):
    scan = os.scandir

    def refuse(folder: str) -> object:
        if Path(folder).name == "cat":
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refuse)  # root may enter every folder
    with pytest.raises(ValueError, match=f"dataset='pets' .*Permission denied.*{pets}/train/cat"):
        load(pets)


def test_names_that_are_not_utf_8_are_read(pets):
    shutil.copy(pets / "train/cat/0.png", os.fsencode(pets / "train/cat") + b"/caf\xe9.png")
    for split in ("train", "test"):
        os.rename(pets / split / "dog", os.fsencode(pets / split) + b"/d\xf6g")
    images = load(pets)
    assert len(images.train) == 7
    assert images.classes == ("cat", r"d\udcf6g")
    damaged = os.fsencode(pets / "train/cat") + b"/caf\xe9.png"
    Path(os.fsdecode(damaged)).write_bytes(b"")
    with pytest.raises(ValueError, match=r"caf\\udce9.png is corrupt"):
        load(pets)


def test_one_name_in_two_forms_of_unicode_is_one_class(pets):
    for split, name in (
        ("train", "cafe\u0301"),
        ("test", "caf\u00e9"),
    ):  # as macOS and others write
        (pets / split / "dog").rename(pets / split / name)
    assert load(pets).classes == ("caf\u00e9", "cat")


@pytest.mark.parametrize("name", ["$x_1$", "<b>", "a\nb", "אבג", "x" * 200, "CON", "100%"])
def test_a_class_may_have_any_name(pets, name, tmp_path):
    for split in ("train", "test"):
        (pets / split / "dog").rename(pets / split / name)
    images = load(pets)
    assert set(images.classes) == {"cat", name.replace("\n", r"\n")}
    run = Run(dataset="pets", model="pca", bottleneck=2)
    assert load_record(execute(run, images).save(tmp_path).record.path).classes == images.classes


def test_images_without_folders_of_classes_are_refused(pets):
    for file in (pets / "train").rglob("*.png"):
        file.rename(pets / "train" / f"{file.parent.name}-{file.name}")
    shutil.rmtree(pets / "train" / "cat")
    shutil.rmtree(pets / "train" / "dog")
    with pytest.raises(ValueError, match=r"train has no folders of classes \(there is cat-0.png"):
        load(pets)


def test_the_notes_are_in_the_record_and_on_the_command_line(pets, tmp_path, monkeypatch, capsys):
    (pets / "train" / "cat" / ".DS_Store").touch()
    images = load_noting(pets, "left out: 1 hidden")
    record = execute(Run(dataset="pets", model="pca", bottleneck=2), images).save(tmp_path).record
    assert load_record(record.path).data_notes == images.notes == ("left out: 1 hidden",)
    monkeypatch.setenv("KANLIB_DATA", str(pets.parent))
    monkeypatch.setattr("sys.argv", ["kanlib.data", "pets"])
    assert main() == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("pets: 6 training and 4 test images")
    assert printed.err == "dataset='pets': left out: 1 hidden\n"
