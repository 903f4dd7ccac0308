"""Records: whole or an error, in files that no two runs share."""

import errno
import json
import math
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from records import ARRAYS, SCORE, make_record

from kanlib.experiments import (
    Run,
    load_arrays,
    load_experiment,
    load_record,
    load_records,
    save_record,
    to_frame,
)
from kanlib.experiments.record import SCHEMA
from kanlib.files import atomic_file

WEIGHTS = b"some weights"
ORIGINALS = f"originals-{'0' * 12}.npz"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """The path of a record with arrays and weights."""
    return save_record(make_record(Run(bottleneck=5, seed=3)), tmp_path, ARRAYS, WEIGHTS).path


def contents(folder: Path) -> dict[Path, bytes]:
    """All files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "run",
    [
        Run(),
        Run(model="mlp", hidden=7, learning_rate=1e-5, epochs=3),
        Run(basis="gaussian-rbf", grid_range=1.5),
    ],
)
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["no weights", "weights"])
def test_what_is_saved_is_what_is_loaded(run, weights, tmp_path):
    record = save_record(make_record(run), tmp_path, ARRAYS, weights)
    assert record.path == run.path(tmp_path)
    loaded = load_record(record.path)
    assert loaded == record
    assert loaded.path == record.path
    arrays = load_arrays(loaded)
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    kinds = [".json", ".npz"] if weights is None else [".json", ".npz", ".safetensors"]
    names = sorted(path.name for path in record.path.parent.iterdir())
    assert names == [f"{record.path.stem}{kind}" for kind in kinds]


def test_originals_are_kept_once_a_data_set(tmp_path):
    def save(seed: int, model: str, fingerprint: str, value: float) -> dict[str, Any]:
        record = make_record(Run(seed=seed, model=model), data_fingerprint=fingerprint)
        arrays = {"originals": np.full(3, value), "reconstructions": np.full(3, seed)}
        return load_arrays(save_record(record, tmp_path, arrays))

    for seed, model in ((0, "kan"), (1, "kan"), (0, "pca")):
        arrays = save(seed, model, "0" * 64, 5.0)
        assert arrays["originals"].tolist() == [5, 5, 5]
        assert arrays["reconstructions"].tolist() == [seed] * 3
    assert save(2, "kan", "1" * 64, 6.0)["originals"].tolist() == [6, 6, 6]
    folder = Run().path(tmp_path).parent.parent
    assert len(list(folder.glob("originals-*.npz"))) == 2
    assert save(0, "kan", "0" * 64, 5.0)["originals"].tolist() == [5, 5, 5]
    older = save_record(make_record(Run(seed=9)), tmp_path, {})  # with pictures of its own
    np.savez(older.path.with_suffix(".npz"), originals=np.arange(3), reconstructions=np.arange(4))
    (folder / ORIGINALS).unlink()
    assert load_arrays(older)["originals"].tolist() == [0, 1, 2]
    with pytest.raises(FileNotFoundError, match=ORIGINALS):
        load_arrays(load_record(Run(seed=1).path(tmp_path)))


def test_a_record_can_be_read_without_the_library(saved):
    text = saved.read_text()
    plain = json.loads(text)
    assert text.endswith("}\n")
    assert plain["evaluation"]["knn"]["confusion"] == [[2, 1], [0, 1]]
    assert plain["run"]["seed"] == 3
    assert plain["weights"]["file"] == saved.with_suffix(".safetensors").name
    assert plain["training"]["learning_rate"] == 1e-3


MISSING = object()
# Where -> name -> a wrong value.
FIELDS: dict[str, dict[str, Any]] = {
    "run": {"seed": "0", "model": "KAN", "degree": 3},
    "training": {"epochs": 1.5},
    "evaluation": {"test_mse": math.nan, "parameters": True, "knn": "1"},
    "evaluation.knn": {"f1": "1", "confusion": [[0.5]]},
    "history": {"train_loss": [0.1, math.nan], "seconds": None},
    "environment": {"threads": 0, "products": "mkl", "git_dirty": 1},
    "weights": {"file": 3},
    "": {
        "wall_seconds": math.nan,
        "run": None,
        "shape": [1, 8],
        "step_log_every": 0,
        "schema_version": 0,
        "measured_later": {"test_mse": {}},
    },
}
WRONG = [(where, name, wrong) for where, fields in FIELDS.items() for name, wrong in fields.items()]
WRONG += [(where, "unheard_of", "one") for where in FIELDS]
WRONG += [("", name, MISSING) for name in ("run", "training", "history", "environment", "classes")]
WRONG += [("environment", "products", MISSING), ("evaluation.knn", "f1", MISSING)]


def change(path: Path, where: str, name: str, value: Any) -> None:
    """Write one field of a record anew, or take it out."""
    whole = json.loads(path.read_text())
    part = whole
    for key in filter(None, where.split(".")):
        part = part[key]
    if value is MISSING:
        del part[name]
    else:
        part[name] = value
    path.write_text(json.dumps(whole))


@pytest.mark.parametrize(("where", "name", "value"), WRONG)
def test_a_wrong_missing_or_unknown_field_is_named_and_so_is_the_file(saved, where, name, value):
    change(saved, where, name, value)
    with pytest.raises(ValueError) as caught:
        load_record(saved)
    said = str(caught.value).removeprefix(str(saved))
    assert said != str(caught.value)
    assert name in said
    assert where.split(".")[0] in said


def test_an_older_record_lacks_parameters_and_metrics_and_a_newer_one_has_more(saved):
    for name in ("output", "basis", "degree", "grid_size"):
        change(saved, "run", name, MISSING)
    change(saved, "evaluation", "knn", MISSING)
    change(saved, "evaluation", "sharpness", 0.5)
    record = load_record(saved)
    assert record.run == Run(bottleneck=5, seed=3)
    assert "knn" not in record.evaluation
    assert (record.evaluation["test_mse"], record.evaluation["sharpness"]) == (0.125, 0.5)


@pytest.mark.parametrize("more", [{}, {"colour": "red"}], ids=["same fields", "a new field"])
def test_a_record_of_a_newer_library_says_so_and_is_not_to_be_deleted(saved, more):
    for name, value in more.items():
        change(saved, "", name, value)
    change(saved, "", "schema_version", SCHEMA + 1)
    with pytest.raises(ValueError, match=f"schema_version={SCHEMA + 1}.*newer kanlib") as caught:
        load_record(saved)
    assert str(saved) in str(caught.value)
    assert "delete" not in str(caught.value)


@pytest.mark.parametrize("length", [0, 100, -3])
def test_a_truncated_file_is_an_error_that_names_it(saved, length):
    saved.write_bytes(saved.read_bytes()[:length])
    with pytest.raises(ValueError, match=str(saved)):
        load_record(saved)


def test_whatever_is_changed_or_cut_off_of_the_arrays_no_other_error_comes_of_it(saved):
    record, arrays = load_record(saved), saved.with_suffix(".npz")
    whole, damaged = arrays.read_bytes(), 0
    for place in range(0, len(whole), 3):
        content = bytearray(whole)
        content[place] ^= 0xFF
        arrays.write_bytes(content)
        try:
            load_arrays(record)  # a changed date does no harm
        except ValueError as error:
            assert str(arrays) in str(error)
            damaged += 1
    assert damaged > len(whole) / 6
    for length in (0, 1, 100, -3):
        arrays.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=str(arrays)):
            load_arrays(record)


@pytest.mark.parametrize("value", [math.nan, math.inf, None, "0.1", True, [0.5]])
def test_a_metric_that_is_no_finite_number_is_refused_before_it_is_written(value):
    with pytest.raises(ValueError, match=r"evaluation\.test_mse"):
        make_record(Run(), evaluation={"test_mse": value, "knn": SCORE})


def newer_record(saved: Path) -> Any:
    """A save of the same run, with other numbers, which fails in the tests below."""
    newer = make_record(Run(bottleneck=5, seed=3), wall_seconds=99.0, data_fingerprint="1" * 64)
    return save_record(newer, saved.parents[3], {"originals": np.zeros(3)}, b"other weights")


# Of the record, its arrays, the originals of the data, its weights.
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
@pytest.mark.parametrize("late", [False, True])
def test_a_full_disk_leaves_the_old_files_and_nothing_else(saved, monkeypatch, nth, late):
    before, write_bytes, targets = contents(saved.parents[3]), Path.write_bytes, []

    def write(path: Path, content: bytes) -> int:
        targets.append(path)
        if late or len(targets) < nth:
            return write_bytes(path, content)
        write_bytes(path, content[: len(content) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    def sync(_: int) -> None:  # where writes are late, the error comes here
        if len(targets) == nth:
            raise OSError(errno.ENOSPC, "No space left on device")

    if late:
        monkeypatch.setattr("os.fsync", sync)
    monkeypatch.setattr(Path, "write_bytes", write)
    with pytest.raises(OSError) as caught:
        newer_record(saved)
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    expected = [".json", ".npz", ".npz", ".safetensors"][nth - 1]
    assert Path(caught.value.filename).suffix == expected  # not that of a temporary file
    assert contents(saved.parents[3]) == before


def test_the_record_is_renamed_last(saved, monkeypatch):
    renamed, replace = [], Path.replace

    def note(self: Path, target: Path) -> Path:
        renamed.append(Path(target).suffix)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", note)
    newer_record(saved)
    assert renamed == [".safetensors", ".npz", ".npz", ".json"]


def test_a_first_save_that_is_interrupted_leaves_no_file(tmp_path, monkeypatch):
    def fail(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(KeyboardInterrupt):
        save_record(make_record(Run()), tmp_path, ARRAYS, WEIGHTS)
    assert contents(tmp_path) == {}


def test_a_run_that_is_saved_by_several_at_once_is_whole_at_any_time(tmp_path):
    record, failures = make_record(Run()), []
    path = save_record(record, tmp_path, ARRAYS, WEIGHTS).path

    def save() -> None:
        for _ in range(20):
            save_record(record, tmp_path, ARRAYS, WEIGHTS)

    def read() -> None:
        for _ in range(60):
            try:
                load_arrays(load_record(path))
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=work) for work in (save, save, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert not [name for name in contents(tmp_path) if name.name.startswith(".")]


def test_an_atomic_file_is_readable_by_all_and_named_where_its_folder_is_missing(tmp_path):
    with atomic_file(tmp_path / "file") as temporary:
        temporary.write_text("whole")
        assert not (tmp_path / "file").exists()
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o644
    path = tmp_path / "nowhere" / "table.csv"
    with pytest.raises(FileNotFoundError) as caught, atomic_file(path):
        pass
    assert caught.value.filename == str(path)


def test_records_come_in_the_order_of_the_runs_which_are_each_there_once(tmp_path):
    runs = [Run(bottleneck=9, seed=seed) for seed in (2, 0)]
    for run in runs:
        save_record(make_record(run), tmp_path, {})
    assert [record.run for record in load_records(runs, tmp_path)] == runs
    for wrong in ([], [*runs, runs[0]]):
        with pytest.raises(ValueError, match=f"runs: {len(wrong)}"):
            load_records(wrong, tmp_path)
    with pytest.raises(FileNotFoundError, match=r"seed=07\.json"):
        load_records([Run(seed=7)], tmp_path)


def test_records_of_different_data_under_one_name_are_refused(tmp_path):
    first, second = Run(seed=0), Run(seed=1)
    save_record(make_record(first), tmp_path, {})
    save_record(make_record(second, data_fingerprint="1" * 64), tmp_path, {})
    with pytest.raises(ValueError, match=r"seed=01\.json .*seed=00\.json.*digits"):
        load_records([first, second], tmp_path)


def test_records_measured_on_different_splits_make_no_table(tmp_path):
    runs = [Run(validation=0.1), Run(validation=0.1, measured_on="validation")]
    records = [save_record(make_record(run), tmp_path, {}) for run in runs]
    for table in (lambda: load_records(runs, tmp_path), lambda: to_frame(records)):
        with pytest.raises(ValueError, match=r"measured_on=\['test', 'validation'\]"):
            table()


def test_the_record_of_another_run_is_refused_and_what_differs_is_named(saved, tmp_path):
    other = Run(bottleneck=5, seed=4)
    saved.rename(other.path(tmp_path))
    with pytest.raises(ValueError, match=r"seed=04\.json .*: seed "):
        load_records([other], tmp_path)


def test_a_record_trained_as_its_run_no_longer_says_is_refused(tmp_path):
    run = Run(bottleneck=5)
    before = run.training().model_copy(update={"learning_rate": 0.5})  # what the preset said then
    save_record(make_record(run, training=before), tmp_path, {})
    with pytest.raises(ValueError, match=r"learning_rate=0\.5.*learning_rate=0\.001"):
        load_records([run], tmp_path)


EXPERIMENTS = sorted(Path("experiments").glob("*.yaml"))


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_the_committed_records_of_every_experiment_are_read_as_they_are(path):
    runs = [run for run in load_experiment(path).runs() if run.path("results").exists()]
    if not runs or runs[0].dataset == "digits":  # those are for trying things out
        pytest.skip("none are committed")
    table = to_frame(load_records(runs, "results"))
    assert len(table) == len(runs)
    for name in (f"{runs[0].measured_on}_mse", "knn_accuracy", "parameters", "seconds"):
        assert table[name].notna().to_numpy().all()
