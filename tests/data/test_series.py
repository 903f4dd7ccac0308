"""Windows of time series: the user's own CSV files, and those that aeon brings."""

import gzip
import importlib.util
import math
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from folders import write_folder

from kanlib.data import load_images, series
from kanlib.data.__main__ import main
from kanlib.experiments import Run, execute, load_experiment
from kanlib.models import MODELS
from kanlib.training import reconstruction_error

pytestmark = [
    pytest.mark.usefixtures("own_cache"),
    pytest.mark.filterwarnings("ignore:.*values beyond those:UserWarning"),
]
HEADER = "label,t0,t1,t2\n"
TRAIN = HEADER + "up,0,1,2\ndown,4,3,2\nup,1,2,2\n"
TEST = HEADER + "down,4,3,0\nup,-2,1,6\ndown,2,1,0\n"


INDEXED = ",label,t0,t1\n0,up,1,2\n1,down,3,2\n2,up,2,2\n"  # by DataFrame.to_csv
UNNAMED = "Unnamed: 0" + INDEXED  # read by pandas, and written again


def write(folder: Path, train: str = TRAIN, test: str = TEST) -> Path:
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text(train)
    (folder / "test.csv").write_text(test)
    return folder


@pytest.mark.parametrize("by", ["name", "series", "environment"])
def test_windows_are_images_of_height_1_scaled_by_the_training_split(tmp_path, by, monkeypatch):
    folder = write(tmp_path / "root" / "steps")
    root = {"name": folder.parent, "series": folder, "environment": None}[by]
    monkeypatch.setenv("KANLIB_DATA", str(folder.parent if by == "environment" else tmp_path))
    images = load_images("series" if by == "series" else "steps", root)
    assert images.shape == (1, 1, 3)
    assert images.classes == ("down", "up")
    assert images.train.labels.tolist() == [1, 0, 1]
    assert images.test.labels.tolist() == [0, 1, 0]
    # The training values go from 0 to 4, so x becomes x / 2 - 1; the test split has -2 and 6.
    assert images.train.images.tolist() == [[[[-1, -0.5, 0]]], [[[1, 0.5, 0]]], [[[-0.5, 0, 0]]]]
    assert images.test.images.tolist() == [[[[1, 0.5, -1]]], [[[-2, -0.5, 2]]], [[[0, -0.5, -1]]]]
    assert images.train.images.dtype == torch.float32


def test_the_label_may_stand_in_any_column_and_a_changed_file_is_read_again(tmp_path):
    folder = write(tmp_path / "a")
    before = load_images("series", folder)
    moved = ["t0,t1,label,t2", "0,1,up,2", "4,3,down,2", "1,2,up,2"]
    (folder / "train.csv").write_text("\n".join(moved))
    after = load_images("series", folder)
    assert (after.fingerprint, after.classes) == (before.fingerprint, before.classes)
    (folder / "train.csv").write_text(TRAIN.replace("1,2,2", "1,2,3"))
    assert load_images("series", folder).fingerprint != before.fingerprint


@pytest.mark.parametrize(
    ("train_text", "test_text", "stated"),
    [
        ("", TEST, "train.csv"),
        (TRAIN.replace(",", ";"), TEST, r"train.csv .*\['label;t0"),
        (TRAIN + "up,1,2,3,4\n", TEST, r"train.csv: .*\b5\b"),
        (HEADER + "up,1,2,3,4\ndown,1,2,3,4\n", TEST, r"train.csv: .*\b5\b"),
        (TRAIN, TEST.replace("-2,1", ",1"), "test.csv, row 2, column 't0': ''"),
        (TRAIN, TEST.replace("6", "six"), "test.csv, row 2, column 't2': 'six'"),
        (TRAIN + ",1,2,3\n", TEST, "train.csv, row 4: .*label"),
        (TRAIN, "label,t0\nup,1\ndown,2\nup,1\n", r"train.csv .*\b3\b.*test.csv 1\b"),
        (TRAIN, TEST.replace("t0,t1", "t1,t0"), "train.csv .*test.csv"),
        (TRAIN, TEST.replace("down", "flat"), "only train has 1: 'down'; only test has 1: 'flat'"),
        (HEADER + "up,1,1,1\ndown,1,1,1\nup,1,1,1\n", TEST, r"training values .*\b1\.0\b"),
        (TRAIN.replace("0,1,2", "-1e308,1,1e308"), TEST, "training values .*1e.308"),
        (HEADER, TEST, "train.csv has no rows"),
        (INDEXED, INDEXED, r"train.csv: column 1 .*index=False"),
        (UNNAMED, UNNAMED, r"train.csv: column 1 .*'Unnamed: 0'"),
        (UNNAMED.replace("Unnamed: 0", "id"), UNNAMED.replace("Unnamed: 0", "id"), "'id' counts"),
        (TRAIN.replace("t1", "t0"), TEST, "train.csv: two columns .*'t0'"),
        (TRAIN.replace("t1", "label"), TEST, "train.csv: two columns .*'label'"),
        (TRAIN, TEST.replace("6", "2024-01-01"), "row 2, column 't2': '2024-01-01'"),
        (TRAIN, TEST.replace("6", "True"), "row 2, column 't2': 'True'"),
        (TRAIN, TEST.replace("6", '"6,5"'), "row 2, column 't2': '6,5' .*decimal point"),
        (TRAIN, TEST.replace("6", "NA"), "row 2, column 't2': 'NA'"),
        (TRAIN, TEST.replace("6", "1e999"), "row 2, column 't2': '1e999'"),
        (TRAIN, TEST.replace("6", "1e45"), "the test values .*1e.45, too far beyond"),
    ],
)
def test_what_is_wrong_with_a_file_is_named(tmp_path, own_cache, train_text, test_text, stated):
    folder = write(tmp_path / "bad", train_text, test_text)
    with pytest.raises(ValueError, match=f"(?s)dataset='bad' in {folder} .*{stated}"):
        load_images("bad", tmp_path)
    assert not own_cache.exists()


def test_image_folders_of_that_name_come_first(tmp_path):
    write_folder(write(tmp_path / "pets"))  # a table of file names often lies beside such folders
    with pytest.warns(UserWarning, match=r"test.csv, train.csv not read"):
        assert load_images("pets", tmp_path).shape == (1, 5, 4)


def test_a_missing_file_is_named(tmp_path):
    folder = write(tmp_path / "half")
    (folder / "test.csv").unlink()
    for name, root in (("half", tmp_path), ("series", folder)):
        with pytest.raises(FileNotFoundError, match=f"dataset='{name}' .*{folder}/test.csv"):
            load_images(name, root)
    with pytest.raises(FileNotFoundError, match=r"'series' .*/train.csv .*/test.csv"):
        load_images("series", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"(?s)'series' .*no root"):
        load_images("series")
    with pytest.raises(FileNotFoundError, match=r"(?s)'none' .*/none/train/.*/none/train.csv"):
        load_images("none", tmp_path)


@pytest.mark.filterwarnings("ignore:.*the same values:UserWarning")
@pytest.mark.parametrize("name", MODELS)
def test_every_model_takes_windows_and_is_trained_and_scored_as_on_images(tmp_path, name):
    draw = np.random.default_rng(0)
    rows = [f"{i % 2}," + ",".join(map(str, draw.normal(i % 2, 1, 9))) for i in range(24)]
    text = "\n".join(["label," + ",".join(f"t{i}" for i in range(9)), *rows])
    images = load_images("series", write(tmp_path / "a", text, text))
    run = Run(dataset="series", model=name, bottleneck=3, epochs=20, learning_rate=0.01)
    untrained = reconstruction_error(run.build_model(images.shape), images.test.images)
    result = execute(run, images)
    assert reconstruction_error(result.model, images.test.images) < untrained
    score: Any = result.record.evaluation["knn"]
    assert sum(map(sum, score.confusion)) == 24
    assert result.arrays["originals"].shape == (2, 1, 1, 9)


def test_cylinders_bells_and_funnels_have_their_shapes():
    table = series.cylinder_bell_funnel(3000, seed=0)
    assert table["label"].tolist()[:4] == ["cylinder", "bell", "funnel", "cylinder"]
    values = table.drop(columns="label").to_numpy(dtype=float)
    cylinder, bell, funnel = (values[i::3].mean(0) for i in range(3))  # (128,)
    assert max(abs(mean[:15]).max() for mean in (cylinder, bell, funnel)) < 0.2  # noise
    # At t = 40 every event has begun and none has ended, so that a bell and a funnel make up 6.
    assert cylinder[40] == pytest.approx(6, abs=0.2)
    assert bell[40] + funnel[40] == pytest.approx(6, abs=0.2)
    assert bell[40] < 2
    assert table.equals(series.cylinder_bell_funnel(3000, seed=0))
    assert not table.equals(series.cylinder_bell_funnel(3000, seed=1))


def pretend_aeon(monkeypatch, counts: dict[str, int], length: int) -> None:
    """A stand-in that answers as aeon does: values (N, 1, T), labels as words."""

    def load_classification(name: str, split: str) -> tuple[np.ndarray, np.ndarray]:
        values = np.linspace(0, 1 if split == "train" else 2, counts[split] * length)
        labels = np.resize(np.array(["2", "1"]), counts[split])
        return values.reshape(counts[split], 1, length), labels

    datasets = SimpleNamespace(load_classification=load_classification)
    monkeypatch.setitem(sys.modules, "aeon", SimpleNamespace(datasets=datasets))
    monkeypatch.setitem(sys.modules, "aeon.datasets", datasets)
    monkeypatch.setattr(metadata, "version", lambda name: "9.9")


def test_what_aeon_gives_becomes_images_with_its_splits(monkeypatch, own_cache):
    pretend_aeon(monkeypatch, {"train": 50, "test": 150}, length=5)
    images = load_images("GunPoint")
    assert (len(images.train), len(images.test)) == (50, 150)
    assert images.shape == (1, 1, 5)
    assert images.classes == ("1", "2")
    assert images.train.labels[:3].tolist() == [1, 0, 1]
    assert (images.train.images.min(), images.train.images.max()) == (-1, 1)
    assert images.test.images.max() == 3
    assert (own_cache / "decoded" / "GunPoint-aeon-9.9").is_dir()
    with pytest.raises(ValueError, match=r"'ItalyPowerDemand' in aeon 9.9 .*50 .*\(67, 1029\)"):
        load_images("ItalyPowerDemand")


def test_without_aeon_the_error_says_what_to_install(monkeypatch, capsys):
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    with pytest.raises(ModuleNotFoundError, match=r"'GunPoint' .*kanlib\[series\]"):
        load_images("GunPoint")
    monkeypatch.setattr(sys, "argv", ["data", "ItalyPowerDemand"])
    assert main() == 1
    assert "pip install 'kanlib[series]'" in capsys.readouterr().err


@pytest.mark.skipif(
    importlib.util.find_spec("aeon") is None, reason="needs aeon: pip install 'kanlib[series]'"
)
@pytest.mark.parametrize(
    ("name", "length", "counts", "class_counts"),
    [("ItalyPowerDemand", 24, (67, 1029), [34, 33]), ("GunPoint", 150, (50, 150), [24, 26])],
)
def test_the_real_windows_are_the_published_ones(name, length, counts, class_counts):
    images = load_images(name)
    assert images.shape == (1, 1, length)
    assert (len(images.train), len(images.test)) == counts
    assert images.train.labels.bincount().tolist() == class_counts
    assert (images.train.images.min(), images.train.images.max()) == (-1, 1)
    rows = [{w.numpy().tobytes() for w in s.images} for s in (images.train, images.test)]
    assert not rows[0] & rows[1]


@pytest.mark.parametrize(("name", "windows"), [("italy", 67), ("gunpoint", 50)])
def test_the_length_of_training_follows_the_rule_of_the_experiment(name, windows):
    for run in load_experiment(f"experiments/series-{name}.yaml").runs():
        settings = run.training()
        assert settings.epochs * math.ceil(windows / settings.batch_size) == 2000
        assert settings.decay**settings.epochs == pytest.approx(0.8**10, rel=1e-3)


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (TRAIN + "\n,,,\nup,1,1,1\n", TEST, "2 empty rows were left out of train.csv"),
        (TRAIN, TEST, "1 column has one value in all .*'t2'"),
        (TRAIN, TEST, "1 test window has values beyond .* from -2 to 2 "),
    ],
    ids=["empty rows", "constant column", "beyond"],
)
@pytest.mark.filterwarnings("default:.*values beyond those:UserWarning")
def test_what_is_left_out_or_odd_is_said_each_time(tmp_path, train, test, said):
    folder = write(tmp_path / "a", train, test)
    for _ in range(2):  # the second time from the cache
        with pytest.warns(UserWarning, match=f"dataset='series': .*{said}"):
            load_images("series", folder)


def test_a_row_is_named_as_it_stands_in_the_file(tmp_path):
    write(tmp_path / "a", TRAIN + "\nup,1,x,2\n")
    with pytest.raises(ValueError, match="row 5, column 't1': 'x'"):
        load_images("a", tmp_path)


@pytest.mark.parametrize("pack", [gzip.compress, lambda text: b"PK\x03\x04\x14\xff" + text])
def test_what_is_no_text_is_refused(tmp_path, pack):
    folder = write(tmp_path / "a")
    (folder / "train.csv").write_bytes(pack(TRAIN.encode()))
    with pytest.raises(ValueError, match=f"{folder}/train.csv is not text .*CSV"):
        load_images("a", tmp_path)


def test_a_file_of_another_name_is_seen(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "train.csv.gz").touch()
    with pytest.raises(FileNotFoundError, match=r"there is train.csv.gz"):
        load_images("a", tmp_path)


def test_names_may_stand_in_quotes_with_spaces_and_a_byte_order_mark(tmp_path):
    plain = load_images("series", write(tmp_path / "plain"))
    quoted = TRAIN.replace("label,", '"label" , ').replace("up", ' "up" ').replace("4", '"4"')
    folder = write(tmp_path / "quoted", "\ufeff" + quoted)
    assert load_images("series", folder).fingerprint == plain.fingerprint
