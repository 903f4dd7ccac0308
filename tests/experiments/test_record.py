"""Records: whole or an error, in files that no two runs share."""

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kanlib.experiments import (
    Record,
    Run,
    load_arrays,
    load_histories,
    load_record,
    load_records,
    save_record,
)
from kanlib.experiments.environment import Environment
from kanlib.files import atomic_file
from kanlib.training import Evaluation, History, Score


def make_record(run: Run, **changes: Any) -> Record:
    score = Score(0.75, 0.7, ((2, 1), (0, 1)))
    whole: dict[str, Any] = {
        "run": run,
        "training": run.training(),
        "evaluation": Evaluation(0.125, score, Score(0.5, 0.4, ((1, 1), (1, 1))), score, 1234),
        "history": History([0.3, 0.2], [0.4, 0.25], 1.5, 3 * 2**20),
        "classes": ("cat", "dog"),
        "data_fingerprint": "0" * 64,
        "wall_seconds": 2.5,
        "environment": Environment(
            kanlib="0.1.0",
            git_commit="a" * 40,
            git_dirty=False,
            torch="2.0",
            python="3.11",
            platform="Linux x86_64",
            device="cpu",
            threads=2,
            products="default",
            malloc={"MALLOC_TOP_PAD_": "1"},
        ),
    }
    return Record(**whole | changes)


ARRAYS = {"originals": np.arange(6.0).reshape(2, 3), "edge_inputs": np.array([3, 1])}


@pytest.fixture
def saved(tmp_path):
    return save_record(make_record(Run(bottleneck=5, seed=3)), tmp_path, ARRAYS)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize(
    "run", [Run(), Run(model="mlp", hidden=7, learning_rate=1e-5, epochs=3), Run(model="pca")]
)
def test_what_is_saved_is_what_is_loaded(run, tmp_path):
    record = make_record(run)
    path = save_record(record, tmp_path, ARRAYS)
    assert path == run.path(tmp_path)
    assert load_record(path) == record
    arrays = load_arrays(path)
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert sorted(contents(path.parent)) == [f"{path.stem}.json", f"{path.stem}.npz"]


def test_a_record_can_be_read_without_the_library(saved):
    text = saved.read_text()
    plain = json.loads(text)
    assert text.endswith("}\n")
    assert plain["evaluation"]["knn"]["confusion"] == [[2, 1], [0, 1]]
    assert plain["run"]["seed"] == 3
    assert plain["training"] == {
        "learning_rate": 1e-3,
        "weight_decay": 1e-4,
        "epochs": 10,
        "batch_size": 64,
        "decay": 0.8,
        "refine": None,
    }


MISSING = object()
FIELDS = {
    "run": {"seed": "0", "bottleneck": 0, "model": "KAN"},
    "training": {"epochs": 1.5, "learning_rate": 0.0, "decay": None},
    "evaluation": {"test_mse": math.nan, "parameters": True, "knn": 1},
    "evaluation.knn": {"f1": "1", "confusion": [[0.5]], "accuracy": math.inf},
    "history": {"train_loss": [0.1, math.nan], "seconds": None, "peak_memory": "1"},
    "environment": {"threads": 0, "products": "mkl", "git_dirty": 1, "malloc": {"A": 1}},
    "": {"wall_seconds": math.nan, "classes": "cat", "data_fingerprint": 5, "run": None},
}
CORRUPTIONS = [
    (parent, name, value)
    for parent, fields in FIELDS.items()
    for name, wrong in fields.items()
    for value in (wrong, MISSING)
] + [(parent, "unheard_of", 1) for parent in FIELDS]


@pytest.mark.parametrize(("parent", "name", "value"), CORRUPTIONS)
def test_a_wrong_missing_or_unknown_field_is_named_and_so_is_the_file(saved, parent, name, value):
    whole = json.loads(saved.read_text())
    part = whole
    for key in filter(None, parent.split(".")):
        part = part[key]
    if value is MISSING:
        del part[name]
    else:
        part[name] = value
    saved.write_text(json.dumps(whole))
    with pytest.raises(ValueError, match=r"is not a valid record") as caught:
        load_record(saved)
    assert str(caught.value).startswith(str(saved))
    # The record's own message for a run is that of Run, which names the field alone.
    assert name in str(caught.value).removeprefix(str(saved))
    assert parent.split(".")[0] in str(caught.value).removeprefix(str(saved))


def test_a_record_older_than_a_parameter_has_its_default(saved):
    whole = json.loads(saved.read_text())
    del whole["run"]["output"]
    saved.write_text(json.dumps(whole))
    assert load_record(saved).run.output is None


@pytest.mark.parametrize("length", [0, 1, 100, -3])
def test_a_truncated_file_is_an_error_that_names_it(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"{saved} is not a valid record"):
        load_record(saved)


def test_a_file_that_is_not_text_is_an_error_that_names_it(saved):
    saved.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=f"{saved} is not a valid record"):
        load_record(saved)


@pytest.mark.parametrize("length", [0, 1, 100, -3])
def test_truncated_arrays_are_an_error_that_names_the_file(saved, length):
    arrays = saved.with_suffix(".npz")
    arrays.write_bytes(arrays.read_bytes()[:length])
    with pytest.raises(ValueError, match=f"{arrays} is damaged: .*delete it"):
        load_arrays(saved)


def test_arrays_with_a_changed_byte_are_an_error_that_names_the_file(saved):
    arrays = saved.with_suffix(".npz")
    content = bytearray(arrays.read_bytes())
    content[len(content) // 3] ^= 0xFF
    arrays.write_bytes(content)
    with pytest.raises(ValueError, match=f"{arrays} is damaged: .*delete it"):
        load_arrays(saved)


def test_whichever_byte_of_the_arrays_is_changed_no_other_error_comes_of_it(saved):
    arrays = saved.with_suffix(".npz")
    whole, damaged = arrays.read_bytes(), 0
    for place in range(len(whole)):
        content = bytearray(whole)
        content[place] ^= 0xFF
        arrays.write_bytes(content)
        try:
            load_arrays(saved)  # a changed date does no harm
        except ValueError as error:
            assert str(error).startswith(f"{arrays} is damaged: ")
            damaged += 1
    assert damaged > len(whole) / 2


def test_arrays_that_are_no_archive_are_an_error_that_names_the_file(saved):
    arrays = saved.with_suffix(".npz")
    with arrays.open("wb") as file:
        np.save(file, np.arange(3))
    with pytest.raises(ValueError, match=f"(?s){arrays} is damaged: .*delete it"):
        load_arrays(saved)


def test_a_record_with_nan_is_refused_before_it_is_written():
    bad = Evaluation(math.nan, *[Score(1.0, 1.0, ((1,),))] * 3, parameters=1)
    with pytest.raises(ValueError, match=r"(?s)evaluation.test_mse.*finite"):
        make_record(Run(), evaluation=bad)


@pytest.mark.parametrize("broken", ["json", "npz"])
def test_a_failure_while_writing_leaves_the_old_files_and_nothing_else(
    saved, broken, monkeypatch, tmp_path
):
    before = contents(saved.parent)
    newer = make_record(Run(bottleneck=5, seed=3), wall_seconds=99.0)

    def fail(target, *_: object, **__: object) -> None:
        (target.write_bytes if isinstance(target, Path) else target.write)(b"half")
        raise OSError(28, "No space left on device")

    if broken == "json":
        monkeypatch.setattr(Path, "write_text", fail)
    else:
        monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(OSError, match="No space left") as caught:
        save_record(newer, tmp_path, {"originals": np.zeros(3)})
    monkeypatch.undo()
    assert caught.value.filename == str(saved.with_suffix(f".{broken}"))
    assert contents(saved.parent) == before
    assert load_record(saved).wall_seconds == 2.5
    assert load_arrays(saved).keys() == ARRAYS.keys()


@pytest.mark.parametrize("nth", [1, 2])  # of the record, of its arrays
def test_a_disk_that_proves_full_at_the_end_leaves_the_old_files(saved, tmp_path, monkeypatch, nth):
    before, calls = contents(saved.parent), []

    def sync(_: int) -> None:  # where writes are late, the error comes here
        calls.append(None)
        if len(calls) == nth:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("kanlib.files.os.fsync", sync)
    newer = make_record(Run(bottleneck=5, seed=3), wall_seconds=99.0)
    with pytest.raises(OSError, match="No space left"):
        save_record(newer, tmp_path, {"originals": np.zeros(3)})
    assert contents(saved.parent) == before


def test_a_missing_folder_is_named_by_the_file_that_was_meant(tmp_path):
    path = tmp_path / "nowhere" / "table.csv"
    with pytest.raises(FileNotFoundError) as caught, atomic_file(path):
        pass
    assert caught.value.filename == str(path)


def test_the_record_is_renamed_last(saved, tmp_path, monkeypatch):
    renamed, replace = [], Path.replace

    def note(self, target):
        renamed.append(Path(target).suffix)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    save_record(make_record(Run(bottleneck=5, seed=3)), tmp_path, ARRAYS)
    assert renamed == [".npz", ".json"]


def test_a_first_save_that_fails_leaves_no_record(tmp_path, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez_compressed", fail)
    with pytest.raises(KeyboardInterrupt):
        save_record(make_record(Run()), tmp_path, ARRAYS)
    assert not list(Run().path(tmp_path).parent.iterdir())


def test_an_atomic_file_is_readable_by_all(tmp_path):
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644


def test_records_become_rows_in_the_order_of_the_runs(tmp_path):
    runs = [Run(bottleneck=9, seed=seed) for seed in (2, 0)]
    for run in runs:
        save_record(make_record(run), tmp_path, {})
    table = load_records(runs, tmp_path)
    assert table["seed"].tolist() == [2, 0]
    row = table.iloc[0]
    assert row["path"] == str(runs[0].path(tmp_path))
    numbers = {
        "bottleneck": 9,
        "test_mse": 0.125,
        "knn_accuracy": 0.75,
        "leaky_knn_code_f1": 0.4,
        "parameters": 1234,
        "seconds": 1.5,
        "peak_mib": 3.0,
    }
    assert {name: row[name] for name in numbers} == numbers
    losses = load_histories(table)
    assert losses[["seed", "epoch", "train_loss", "test_loss"]].values.tolist() == [
        [2, 1, 0.3, 0.4],
        [2, 2, 0.2, 0.25],
        [0, 1, 0.3, 0.4],
        [0, 2, 0.2, 0.25],
    ]


def test_records_of_different_data_under_one_name_are_refused(tmp_path):
    first, second = Run(seed=0), Run(seed=1)
    save_record(make_record(first), tmp_path, {})
    save_record(make_record(second, data_fingerprint="1" * 64), tmp_path, {})
    message = r"seed=01\.json is of other data than .*seed=00\.json, both digits; delete it"
    with pytest.raises(ValueError, match=message):
        load_records([first, second], tmp_path)


def test_a_missing_record_is_an_error_that_says_how_to_make_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"seed=07\.json does not exist; `make paper"):
        load_records([Run(seed=7)], tmp_path)


def test_the_record_of_another_run_is_refused_and_what_differs_is_named(saved, tmp_path):
    other = Run(bottleneck=5, seed=4)
    saved.rename(other.path(tmp_path))
    with pytest.raises(ValueError, match="is the record of another run: seed differ"):
        load_records([other], tmp_path)


def test_a_record_trained_as_its_run_no_longer_says_is_refused(tmp_path):
    run = Run(bottleneck=5)
    before = replace(run.training(), learning_rate=0.5)  # what the preset said then
    save_record(make_record(run, training=before), tmp_path, {})
    with pytest.raises(ValueError, match=r"was trained with .*learning_rate=0\.5.*, not "):
        load_records([run], tmp_path)
