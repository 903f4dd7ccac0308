"""What would fail after a training is found before it."""

import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kanlib import MODELS, KANLinear
from kanlib.data import Images, Split
from kanlib.experiments import Run, check, check_run, execute
from kanlib.models import Autoencoder
from kanlib.models.registry import ModelSpec
from kanlib.training import METRICS
from kanlib.training.evaluation import Outputs

MODELS_TRIED = [Run(model=name, bottleneck=3) for name in MODELS]
REFINED = Run(model="kan-pure", bottleneck=3, refine="finer")
VALIDATED = Run(bottleneck=3, validation=0.5, measured_on="validation")


@pytest.fixture(autouse=True)
def no_training(monkeypatch: pytest.MonkeyPatch):
    """Training would be another error."""
    monkeypatch.setattr("kanlib.experiments.execution.train", None)


def with_test(images: Images, size: int) -> Images:
    split = images.test
    return replace(images, test=Split(split.images[:size], split.labels[:size]))


@pytest.mark.parametrize("run", [*MODELS_TRIED, REFINED, VALIDATED], ids=lambda run: run.model)
def test_a_run_that_can_be_made_leaves_nothing_but_folders(few_digits: Images, run: Run, tmp_path):
    before = torch.get_rng_state()
    check_run(run, few_digits, tmp_path / "new")
    assert torch.equal(torch.get_rng_state(), before)
    assert (tmp_path / "new/runs/digits" / run.model).is_dir()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def broken(outputs: Outputs) -> float:
    raise ZeroDivisionError("it divides by zero")


@pytest.mark.parametrize(
    ("name", "metric", "named"),
    [
        ("mine", broken, "metric='mine' failed: ZeroDivisionError: it divides by zero"),
        ("mine", lambda _: float("nan"), "metric='mine' is nan"),
        ("mine", lambda _: torch.tensor(torch.inf), "metric='mine' is inf"),
        ("mine", lambda _: "0.5", "metric='mine' is '0.5'"),
        ("mine", lambda _: True, "metric='mine' is True"),
        ("mine", lambda _: torch.zeros(2), "metric='mine' is tensor"),
        ("seed", lambda _: 0.5, "metric='seed'.*another column"),
        ("knn_f1", lambda _: 0.5, "knn_f1 is the name of another column"),
    ],
)
def test_a_metric_that_would_fail_is_found_before(few_digits, monkeypatch, name, metric, named):
    monkeypatch.setitem(METRICS, name, metric)
    for model in ("kan", "pca"):
        with pytest.raises(ValueError, match=named):
            execute(Run(model=model), few_digits)


def of_many(outputs: Outputs) -> float:
    """A metric that makes sense of many images only, and of no constant codes."""
    codes = outputs.test_codes
    assert len(codes) >= 200 and (codes.std(0) > 0).all()
    return codes.std().item()


@pytest.mark.parametrize("model", ["kan", "pca"])
def test_a_metric_that_needs_all_images_is_given_all(digits: Images, monkeypatch, model):
    monkeypatch.setitem(METRICS, "spread", of_many)
    check_run(Run(model=model), digits)


def test_a_metric_that_changes_the_model_changes_no_training(few_digits: Images, monkeypatch):
    def greedy(outputs: Outputs) -> float:
        with torch.no_grad():
            for parameter in outputs.model.parameters():
                parameter.zero_()
        return float(torch.rand(()))

    def first_weights(model: Autoencoder, *_: object, **__: object) -> None:
        raise LookupError([p.sum().item() for p in model.parameters()])

    monkeypatch.setattr("kanlib.experiments.execution.train", first_weights)
    monkeypatch.setitem(METRICS, "greedy", greedy)
    built = Run(bottleneck=3).build_model(few_digits.shape)
    with pytest.raises(LookupError) as caught:
        execute(Run(bottleneck=3), few_digits)
    assert caught.value.args[0] == [p.sum().item() for p in built.parameters()]


def behind_convolutions(shape: tuple[int, int, int], bottleneck: int) -> Autoencoder:
    """Its first KAN layer does not see pixels."""
    encoder = nn.Sequential(nn.AvgPool2d(2), nn.Flatten(), KANLinear(16, bottleneck))
    return Autoencoder(encoder, nn.Sequential(nn.Linear(bottleneck, 64), nn.Unflatten(1, shape)))


class Counting(nn.Linear):
    """Keeps what is no tensor."""

    def get_extra_state(self) -> dict[str, int]:
        return {"calls": 5}


def counting(shape: tuple[int, int, int], bottleneck: int) -> Autoencoder:
    """Its state cannot be written by safetensors."""
    encoder = nn.Sequential(nn.Flatten(), Counting(64, bottleneck))
    return Autoencoder(encoder, nn.Sequential(nn.Linear(bottleneck, 64), nn.Unflatten(1, shape)))


@pytest.mark.parametrize(
    ("build", "what"), [(behind_convolutions, "pictures"), (counting, "weights")]
)
def test_a_model_that_could_not_be_kept_is_found_before(
    few_digits, monkeypatch, build: Callable[..., Autoencoder], what: str
):
    monkeypatch.setitem(MODELS, "mine", ModelSpec("mine", build))
    with pytest.raises(ValueError, match=f"model='mine': its {what} cannot be kept"):
        execute(Run(model="mine"), few_digits)


def test_splits_too_small_for_the_run_are_found_before(few_digits: Images):
    with pytest.raises(ValueError, match="a split of 2"):
        execute(Run(), with_test(few_digits, 2))
    with pytest.raises(ValueError, match=r"n_components=40 .*=30"):
        train = Split(few_digits.train.images[:30], few_digits.train.labels[:30])
        execute(Run(model="pca", bottleneck=40), replace(few_digits, train=train))


def file_in_the_way(path: Path) -> None:
    path.parent.parent.mkdir(parents=True)
    path.parent.touch()


def read_only(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    path.parent.mkdir(parents=True)
    path.parent.chmod(0o555)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda path: path.mkdir(parents=True), "seed=00.json"),
        (lambda path: path.with_suffix(".npz").mkdir(parents=True), "seed=00.npz"),
        (lambda path: path.with_suffix(".safetensors").mkdir(parents=True), "seed=00.safetensors"),
        (file_in_the_way, "runs/digits/pca"),
        (read_only, "seed=00.json"),
    ],
)
def test_a_file_that_could_not_be_written_is_found_before(few_digits, tmp_path, spoil, named):
    run = Run(model="pca")
    spoil(run.path(tmp_path))
    with pytest.raises(OSError, match=named):
        execute(run, few_digits, results_dir=tmp_path)


def test_a_path_that_is_too_long_is_found_before(few_digits: Images, tmp_path: Path):
    folder = tmp_path
    while len(os.fsencode(folder)) < 4096 - 240:
        folder /= "a" * 200
    with pytest.raises(OSError, match="seed=00") as caught:
        execute(Run(model="pca"), few_digits, results_dir=folder / ("b" * 150))
    assert "aaa" in str(caught.value)


def test_a_full_disk_is_found_before(few_digits: Images, tmp_path: Path, monkeypatch):
    def full(path: Path, content: bytes) -> int:
        if len(content) > 10_000:  # the weights
            raise OSError(28, "No space left on device")
        return len(content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*safetensors'"):
        execute(Run(), few_digits, results_dir=tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


@pytest.mark.parametrize("flag", ["fast_cpu", "compiled"])
@pytest.mark.parametrize("value", ["false", "", 1, None])
def test_a_word_is_no_flag(few_digits: Images, flag: str, value: Any):
    with pytest.raises(ValueError, match=f"{flag}={value!r} must be True or False"):
        execute(Run(), few_digits, **{flag: value})


@pytest.mark.parametrize("value", [0, -1, 2.5, True, "10"])
def test_a_log_has_an_entry_every_so_many_steps(few_digits: Images, value: Any):
    with pytest.raises(ValueError, match=f"log_every={value!r}"):
        execute(Run(), few_digits, log_every=value)


EXPERIMENT = "title: Mine\nabout: a\ngrid: [{{model: pca, bottleneck: [2, {}], seed: [0, 1]}}]"


@pytest.mark.parametrize(
    ("size", "code", "printed"),
    [(3, 0, "Mine: 4 of 4 runs are to be made"), (65, 1, "bottleneck=65")],
)
def test_the_runs_of_an_experiment_are_checked(tmp_path, monkeypatch, capsys, size, code, printed):
    (tmp_path / "mine.yaml").write_text(EXPERIMENT.format(size))
    words = ["check", str(tmp_path / "mine.yaml"), "--results", str(tmp_path / "results")]
    monkeypatch.setattr(sys, "argv", words)
    assert check.main() == code
    output = capsys.readouterr()
    assert output.out.startswith("digits: 1437 training and 360 test images of 64 values")
    assert printed in output.out + output.err


def test_settings_that_pca_does_not_have_are_said_once(tmp_path, monkeypatch, capsys):
    common = "common: {epochs: 500, decay: 0.9, validation: 0.5}\ngrid:"
    (tmp_path / "mine.yaml").write_text(EXPERIMENT.format(3).replace("grid:", common))
    monkeypatch.setattr(
        sys, "argv", ["check", str(tmp_path / "mine.yaml"), "--results", str(tmp_path)]
    )
    assert check.main() == 0
    assert capsys.readouterr().err == "decay=0.9, epochs=500: no effect on PCA, which is fitted\n"
