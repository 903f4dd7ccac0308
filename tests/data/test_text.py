"""Texts: the user's own CSV files, and the 20 newsgroups."""

import gzip
import math
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sklearn.datasets
import torch

from kanlib import build_model
from kanlib.data import load_images
from kanlib.experiments import Run, execute
from kanlib.training import evaluate

DATA = Path(os.environ.get("KANLIB_DATA", "nowhere"))  # the fixture hides it
pytestmark = pytest.mark.usefixtures("own_cache")
TRAIN = (
    "label,text\nfruit,apple apple pear\nfruit,pear apple\nfruit,apple pear\nmetal,iron copper\n"
    'metal,"iron,\ncopper iron"\nmetal,copper\n'
)
TEST = "label,text\nmetal,iron zebra\nfruit,apple\nfruit,pear\n"


def write(folder: Path, train: str = TRAIN, test: str = TEST) -> Path:
    folder.mkdir(parents=True)
    (folder / "train.csv").write_text(train)
    (folder / "test.csv").write_text(test)
    return folder


def test_documents_are_rows_of_weights_that_the_training_split_fixes(tmp_path):
    write(tmp_path / "posts")
    images = load_images("posts", tmp_path)
    assert images.classes == ("fruit", "metal")
    assert images.shape == (1, 1, 4)  # apple, copper, iron, pear; zebra is of the test split
    assert images.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test.labels.tolist() == [1, 0, 0]
    # Apple and pear are in equally many documents; twice a word counts as 1 + ln 2.
    apple, copper, iron, pear = images.train.images[0].flatten().tolist()
    assert (copper, iron) == (0, 0)
    assert apple / pear == pytest.approx(1 + math.log(2))
    assert torch.linalg.vector_norm(images.train.images.flatten(1), dim=1) == pytest.approx(1)
    assert images.test.images.flatten(1).tolist() == [[0, 0, 1, 0], [1, 0, 0, 0], [0, 0, 0, 1]]
    assert images.notes == ()


def test_other_test_documents_leave_the_training_rows_as_they_are(tmp_path):
    write(tmp_path / "a")
    write(tmp_path / "b", test="label,text\nmetal,iron iron pear\nfruit,apple copper\n")
    first, second = (load_images(name, tmp_path).train.images for name in "ab")
    assert torch.equal(first, second)


def test_a_compressed_file_is_the_same(tmp_path):
    plain, packed = write(tmp_path / "plain"), tmp_path / "packed"
    packed.mkdir()
    for path in plain.iterdir():
        (packed / f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert load_images("packed", tmp_path).fingerprint == load_images("plain", tmp_path).fingerprint
    assert load_images("text", packed).fingerprint == load_images("text", plain).fingerprint


def test_the_vocabulary_can_be_smaller(tmp_path):
    write(tmp_path / "posts")
    with pytest.warns(UserWarning, match="left out"):
        small = load_images("posts", tmp_path, vocabulary=2)
    assert small.shape == (1, 1, 2)
    assert load_images("posts", tmp_path).shape == (1, 1, 4)  # not what is kept of the other
    wrong: Any
    for wrong in (0, "5", True, 5.5):
        with pytest.raises(ValueError, match=f"vocabulary={wrong!r} "):
            load_images("posts", tmp_path, vocabulary=wrong)
    with pytest.raises(ValueError, match=r"vocabulary=5.*'digits'"):
        load_images("digits", vocabulary=5)


def test_a_document_without_words_is_left_out_with_a_note(tmp_path):
    empty = "fruit,\nmetal,the\n"
    write(tmp_path / "posts", TRAIN + empty, TEST.replace("pear", "zebra"))
    with pytest.warns(UserWarning, match="2 documents were left out of train"):
        images = load_images("posts", tmp_path)
    train, test = images.notes
    assert train.endswith("row 7, 8")
    assert "1 document was left out of test" in test and test.endswith("row 3")
    assert images.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert images.test.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("train", "test", "stated"),
    [
        (TRAIN.replace("label,text", "label,text,date"), TEST, "train.csv"),
        (TRAIN.replace("label,text", "text,title"), TEST, r"train\.csv.*'label' and 'text'"),
        (TRAIN + "a,b,c\n", TEST, r"train\.csv"),
        ("label,text\n", TEST, r"train\.csv has no rows"),
        (TRAIN + ",pear\n", TEST, r"train\.csv, row 7: the label"),
        (TRAIN, TEST + "wood,pear\n", "'wood'"),
        (TRAIN, "label,text\nfruit,zebra\nmetal,zebra\n", "no test document"),
        ("label,text\nfruit,the\nmetal,a\n", TEST, "vocabulary"),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, train, test, stated):
    write(tmp_path / "posts", train, test)
    with pytest.raises(ValueError, match=stated):
        load_images("posts", tmp_path)


def test_files_that_are_damaged_missing_or_there_twice_are_named(tmp_path):
    folder = write(tmp_path / "posts")
    packed = gzip.compress(TRAIN.encode())
    (folder / "train.csv.gz").write_bytes(packed)
    with pytest.raises(ValueError, match=r"train\.csv and train\.csv\.gz"):
        load_images("posts", tmp_path)
    (folder / "train.csv").unlink()
    (folder / "train.csv.gz").write_bytes(packed[:-20])
    with pytest.raises(ValueError, match=r"train\.csv\.gz"):
        load_images("posts", tmp_path)
    (folder / "train.csv.gz").write_bytes(gzip.compress(b"label,text\na,caf\xe9\n"))
    with pytest.raises(ValueError, match=r"train\.csv\.gz is not text in UTF-8"):
        load_images("posts", tmp_path)
    (folder / "test.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"'posts'.*test\.csv"):
        load_images("posts", tmp_path)


def test_a_run_on_texts_keeps_its_notes(tmp_path):
    write(tmp_path / "posts", TRAIN + "fruit,\n", TEST)
    with pytest.warns(UserWarning, match="row 7"):
        images = load_images("posts", tmp_path)
    record = execute(Run(dataset="posts", model="lsa", bottleneck=2), images).record
    assert record.data_notes == images.notes
    assert 0 <= record.evaluation["test_relative_error"] < 1  # pyright: ignore[reportOperatorIssue]


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """What scikit-learn would download."""

    def fetch(subset: str, **_: Any) -> Any:
        texts = ["apple pear", "iron copper"] * (2 if subset == "train" else 1)
        target = np.arange(len(texts)) % 2
        return SimpleNamespace(data=texts, target=target, target_names=["fruit", "metal"])

    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", fetch)


@pytest.mark.usefixtures("fetched")
def test_newsgroups_are_downloaded_where_there_are_no_files(tmp_path):
    images = load_images("20newsgroups", tmp_path, vocabulary=3)
    assert images.shape == (1, 1, 3)
    assert images.classes == ("fruit", "metal")
    assert (len(images.train), len(images.test)) == (4, 2)


def test_newsgroups_that_cannot_be_had_say_where_they_were_looked_for(tmp_path, monkeypatch):
    def fail(**_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(sklearn.datasets, "fetch_20newsgroups", fail)
    with pytest.raises(FileNotFoundError, match=r"'20newsgroups'(.|\n)*no network"):
        load_images("20newsgroups", tmp_path, vocabulary=3)


def test_newsgroups_that_are_not_whole_are_refused(tmp_path):
    write(tmp_path / "20newsgroups")
    with pytest.raises(ValueError, match=r"\(6, 3\).*\(11314, 7532\)"):
        load_images("20newsgroups", tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "20newsgroups").exists(),
    reason="KANLIB_DATA has no 20newsgroups/",
)
@pytest.mark.filterwarnings("ignore:.*left out:UserWarning")
def test_lsa_on_the_newsgroups_is_as_good_as_it_was_elsewhere():
    images = load_images("20newsgroups", DATA)
    # Measured with plain scikit-learn: error relative to zeros, and accuracy by angle.
    for size, error, accuracy in ((16, 0.929, 0.380), (32, 0.899, 0.412), (64, 0.853, 0.429)):
        model = build_model("lsa", images.shape, size)
        model.fit(images.train.images)
        found: Any = evaluate(model, images, ["test_relative_error", "knn_cosine"])
        assert found["test_relative_error"] == pytest.approx(error, abs=0.003)
        assert found["knn_cosine"].accuracy == pytest.approx(accuracy, abs=0.01)
