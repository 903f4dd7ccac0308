"""``execute``: record, arrays and model agree, and nothing is written before it is asked for."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kanlib import MODELS
from kanlib.data import Images, Split
from kanlib.experiments import Run, execute, execution, load, load_arrays, load_record, splits_of
from kanlib.experiments.remeasure import remeasure
from kanlib.models.registry import ModelSpec
from kanlib.training import METRICS, evaluate, reconstruction_error

RUNS = [
    Run(epochs=2, bottleneck=3),
    Run(model="pca"),
    Run(model="kan-pure", epochs=2, bottleneck=3, refine="longer"),
]


def numbers(result: Any) -> dict[str, Any]:
    """What must be equal between two equal runs: all but times and memory."""
    whole = result.record.model_dump(exclude={"wall_seconds", "environment"})
    for name in ("seconds", "peak_memory", "resumed_after"):
        del whole["history"][name]
    return whole


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.model)
def test_record_arrays_and_model_agree(few_digits: Images, run: Run):
    result = execute(run, few_digits)
    record, arrays, model = result.record, result.arrays, result.model
    assert record.run == run
    assert record.training == run.training()
    assert record.evaluation == evaluate(model, few_digits)
    assert record.evaluation.keys() == METRICS.keys()
    test_mse = reconstruction_error(model, few_digits.test.images)
    assert record.evaluation["test_mse"] == test_mse
    assert (record.classes, record.shape) == (few_digits.classes, few_digits.shape)
    assert record.data_fingerprint == few_digits.fingerprint
    assert record.weights is None
    with torch.inference_mode():
        made = model(torch.from_numpy(arrays["originals"]))
    assert np.array_equal(arrays["reconstructions"], made)
    if run.model == "pca":
        assert record.history.train_loss == []
        assert "step_loss" not in arrays
    else:
        assert len(record.history.train_loss) == run.epochs
        assert record.history.test_loss[-1] == pytest.approx(test_mse, rel=1e-12)


def test_the_same_run_gives_the_same_numbers_and_another_seed_gives_others(few_digits: Images):
    run = Run(epochs=1, bottleneck=3)
    first, again = execute(run, few_digits), execute(run, few_digits)
    assert numbers(first) == numbers(again)
    assert first.arrays.keys() == again.arrays.keys()
    for name, array in first.arrays.items():
        assert np.array_equal(array, again.arrays[name]), name
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    other = execute(Run(epochs=1, bottleneck=3, seed=1), few_digits)
    assert other.record.evaluation["test_mse"] != first.record.evaluation["test_mse"]


def test_steps_are_logged_as_often_as_asked(few_digits: Images):
    run = Run(epochs=2, bottleneck=3)  # 192 images, 64 a step
    every = {n: execute(run, few_digits, log_every=n) for n in (1, 4)}
    assert {n: len(result.arrays["step_loss"]) for n, result in every.items()} == {1: 6, 4: 2}
    assert {n: result.record.step_log_every for n, result in every.items()} == {1: 1, 4: 4}
    assert np.array_equal(every[4].arrays["step_loss"], every[1].arrays["step_loss"][::4])


VALIDATED = Run(model="kan-pure", epochs=2, bottleneck=3, validation=0.25, measured_on="validation")


def test_a_run_measured_on_the_validation_split_never_reads_a_test_image(
    few_digits: Images, tmp_path: Path
):
    test = Split(few_digits.test.images.clone(), few_digits.test.labels)
    blind = replace(few_digits, test=test)
    test.images.fill_(torch.nan)
    first, again = execute(VALIDATED, blind).save(tmp_path), execute(VALIDATED, few_digits)
    assert numbers(first)["evaluation"] == numbers(again)["evaluation"]
    assert numbers(first)["history"] == numbers(again)["history"]
    assert all(np.array_equal(array, again.arrays[name]) for name, array in first.arrays.items())
    found: Any = first.record.evaluation
    seen = splits_of(VALIDATED, few_digits)
    assert "test_mse" not in found
    assert found["validation_mse"] == reconstruction_error(first.model, seen.test.images)
    assert first.record.history.validation_loss[-1] == pytest.approx(found["validation_mse"])
    assert sum(map(sum, found["knn"].confusion)) == len(seen.test) == 48
    assert remeasure(first.record, blind) == first.record  # nothing is lacking
    assert not list(tmp_path.rglob("originals-*"))  # those are test images
    assert np.array_equal(load_arrays(first.record)["originals"], first.arrays["originals"])


def test_a_validation_split_leaves_the_measures_to_the_test_split(few_digits: Images):
    run = VALIDATED.model_copy(update={"measured_on": "test"})
    result = execute(run, few_digits)
    assert len(splits_of(run, few_digits).train) == 144
    error = reconstruction_error(result.model, few_digits.test.images)
    assert result.record.evaluation["test_mse"] == error
    assert result.record.history.test_loss == []
    assert len(result.record.history.validation_loss) == 2


def test_a_run_that_was_cut_off_goes_on_until_it_is_saved(
    few_digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run, path = RUNS[0], tmp_path / "state"

    def fail(*_: Any) -> None:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr(execution, "measure", fail)
        with pytest.raises(MemoryError):
            execute(run, few_digits, checkpoint=path)
    whole, result = execute(run, few_digits), execute(run, few_digits, checkpoint=path)
    assert result.record.history.resumed_after == [2]
    assert numbers(result) == numbers(whole) and result.weights == whole.weights
    assert path.exists()
    assert result.save(tmp_path).checkpoint is None
    assert not path.exists()


def test_a_run_with_patience_is_measured_at_its_best(few_digits: Images):
    changes = {"patience": 2, "epochs": 9, "learning_rate": 0.1, "decay": 1.0}
    record = execute(VALIDATED.model_copy(update=changes), few_digits).record
    history = record.history
    assert history.best_epoch is not None and len(history.train_loss) == history.best_epoch + 2
    error = history.validation_loss[history.best_epoch - 1]
    assert record.evaluation["validation_mse"] == pytest.approx(error) == min(history.watched_loss)


def spoilt(images: Images) -> Images:
    """One pixel that is NaN."""
    pixels = images.train.images.clone()
    pixels[5, 0, 2, 2] = torch.nan
    return replace(images, train=Split(pixels, images.train.labels))


@pytest.mark.parametrize(
    ("run", "change", "named"),
    [
        (Run(dataset="mnist"), lambda images: images, "images='digits'.*'mnist'"),
        (Run(bottleneck=65), lambda images: images, "bottleneck=65"),
        (Run(), spoilt, "train images.*NaN"),
    ],
)
def test_what_does_not_fit_is_refused_before_any_training(
    few_digits, monkeypatch, run, change, named
):
    def trained(*_: object, **__: object) -> None:
        raise AssertionError("it was trained")

    monkeypatch.setattr("torch.optim.AdamW.step", trained)
    with pytest.raises(ValueError, match=named):
        execute(run, change(few_digits))


def test_what_is_saved_is_the_record_its_arrays_and_its_weights(
    few_digits: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    run = Run(epochs=1, bottleneck=3)
    monkeypatch.chdir(tmp_path)
    unsaved = execute(run, few_digits)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="bottleneck=3"):
        _ = unsaved.record.path
    result = unsaved.save(tmp_path)
    assert unsaved.save(tmp_path / "again").record.weights == result.record.weights
    assert result.record.path == run.path(tmp_path)
    assert load_record(run.path(tmp_path)) == result.record
    loaded = load_arrays(result.record)
    assert loaded.keys() == result.arrays.keys()
    for name, array in result.arrays.items():
        assert np.array_equal(loaded[name], array), name
    weights = result.record.weights
    assert weights is not None
    content = result.record.path.with_name(weights.file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == weights.sha256
    state = load(result.record).state_dict()
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(tensor, state[name]), name


def test_what_is_saved_is_the_model_that_was_measured(few_digits: Images, tmp_path: Path):
    result = execute(Run(model="pca", bottleneck=3), few_digits)
    with torch.no_grad():
        result.model.get_parameter("mean").add_(1)
    saved = load(result.save(tmp_path).record)
    error = reconstruction_error(saved, few_digits.test.images)
    assert error == result.record.evaluation["test_mse"]


def test_a_record_with_other_numbers_is_replaced_only_when_asked(few_digits: Images, tmp_path):
    run = Run(model="pca", bottleneck=3)
    first = execute(run, few_digits).save(tmp_path)
    execute(run, few_digits).save(tmp_path)  # the same numbers
    half = Split(few_digits.train.images[:96], few_digits.train.labels[:96])
    other = execute(run, replace(few_digits, train=half))
    with pytest.raises(FileExistsError, match="replace_old") as caught:
        other.save(tmp_path)
    assert str(first.record.path) in str(caught.value)
    assert load_record(first.record.path).evaluation == first.record.evaluation
    other.save(tmp_path, replace_old=True)
    assert load_record(first.record.path).evaluation == other.record.evaluation


def test_a_model_with_a_code_of_another_size_is_refused(few_digits: Images, monkeypatch):
    def wide(shape: tuple[int, int, int], bottleneck: int):
        return MODELS["mlp"].build(shape, bottleneck + 1)

    monkeypatch.setitem(MODELS, "wide", ModelSpec("wide", wide))
    with pytest.raises(ValueError, match=r"model='wide'.*\(1, 9\).*bottleneck=8"):
        execute(Run(model="wide", epochs=10**6), few_digits)


def test_images_with_a_label_that_has_no_class_are_refused(few_digits: Images):
    with pytest.raises(ValueError, match="train labels from 0 to 9"):
        replace(few_digits, classes=few_digits.classes[:9])
