"""A training that was cut off goes on, and ends as if nothing had happened."""

import errno
import pickle
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kanlib import build_model
from kanlib.data import Images, Split
from kanlib.models import Autoencoder
from kanlib.training import History, StepLog, TrainingConfig, TrainingDiverged, checkpoint, train

PLAIN = TrainingConfig(epochs=4)
WAITING = TrainingConfig(epochs=9, learning_rate=0.1, decay=1.0, validation=0.3, patience=2)


class CutOff(StepLog):
    """Ends a training at a step, as a user does, or a fault."""

    def __init__(self, at: int | None = None) -> None:
        super().__init__(every=2)
        self.at, self.seen = at, 0

    def __call__(self, model: nn.Module, loss: torch.Tensor) -> None:
        self.seen += 1
        if self.seen == self.at:
            raise KeyboardInterrupt
        super().__call__(model, loss)


class Dropping(nn.Module):
    """Draws numbers while it trains."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(()))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return nn.functional.dropout(images * self.gain, 0.5, self.training)


def model_of(name: str, images: Images) -> Autoencoder:
    torch.manual_seed(3)
    if name == "dropping":
        return Autoencoder(Dropping(), nn.Identity())
    return build_model(name, images.shape, 4)


def numbers(model: Autoencoder, history: History, log: StepLog) -> dict[str, Any]:
    """All that must be equal, bit for bit."""
    apart = ("seconds", "peak_memory", "resumed_after")
    kept = {name: value for name, value in asdict(history).items() if name not in apart}
    return kept | {n: v.tobytes() for n, v in log.arrays().items()} | _weights(model)


def _weights(model: Autoencoder) -> dict[str, bytes]:
    return {name: value.numpy().tobytes() for name, value in model.state_dict().items()}


@pytest.mark.parametrize(
    ("name", "config", "cuts"),
    [
        ("dropping", PLAIN, (4, 5)),
        ("kan-pure", PLAIN.model_copy(update={"refine": "finer"}), (5, 6)),
        ("kan", PLAIN.model_copy(update={"refine": "longer", "validation": 0.2}), (10,)),
        ("kan-pure", PLAIN.model_copy(update={"update_grid": "knots"}), (4, 5)),
        ("mlp", WAITING, (4, 5)),
    ],
)
def test_what_was_cut_off_ends_as_what_was_not(few_digits, tmp_path, name, config, cuts):
    whole, log, path = model_of(name, few_digits), CutOff(), tmp_path / "new" / "state"
    history = train(whole, few_digits, config, seed=1, on_step=log)
    epochs = []
    for at in cuts:
        with pytest.raises(KeyboardInterrupt) as caught:
            model = model_of(name, few_digits)
            train(model, few_digits, config, seed=1, on_step=CutOff(at), checkpoint=path)
        if path.exists():
            assert str(path) in caught.value.__notes__[0]
        epochs.append((epochs[-1] if epochs else 0) + (at - 1) // 3)
    model, later = model_of(name, few_digits), CutOff()
    resumed = train(model, few_digits, config, seed=1, on_step=later, checkpoint=path)
    assert numbers(model, resumed, later) == numbers(whole, history, log)
    assert resumed.resumed_after == epochs and history.resumed_after == []
    assert resumed.seconds > 0
    # Nothing is left to do, as where the measuring was cut off.
    model, last = model_of(name, few_digits), CutOff()
    again = train(model, few_digits, config, seed=1, on_step=last, checkpoint=path)
    assert numbers(model, again, last) == numbers(whole, history, log) and last.seen == 0


@pytest.fixture
def kept(few_digits, tmp_path) -> Path:
    """The state of a training with ``PLAIN``."""
    train(model_of("mlp", few_digits), few_digits, PLAIN, checkpoint=tmp_path / "state")
    return tmp_path / "state"


def refuse(path: Path, images: Images, words: str, **changes: Any) -> None:
    """Training must fail before its first step, and leave the file as it is."""
    before, log = path.read_bytes(), CutOff(1)
    arguments: dict[str, Any] = {"config": PLAIN, "seed": 0, "on_step": log} | changes
    model = arguments.pop("model", model_of("mlp", images))
    with pytest.raises(ValueError, match=words) as caught:
        train(model, images, arguments.pop("config"), checkpoint=path, **arguments)
    assert str(path) in str(caught.value) and "delete it" in str(caught.value)
    assert path.read_bytes() == before and log.seen == 0


def test_the_state_of_another_training_is_refused(kept, few_digits, monkeypatch):
    same = {"on_step": None}
    refuse(kept, few_digits, "seed was 0, now 5", **same, seed=5)
    longer = PLAIN.model_copy(update={"epochs": 5})
    refuse(kept, few_digits, "epochs was 4, now 5", **same, config=longer)
    refuse(kept, few_digits, "first weights was", **same, model=build_model("mlp", (1, 8, 8), 4))
    test = replace(few_digits.test, labels=few_digits.test.labels.flip(0))
    refuse(kept, replace(few_digits, test=test), "images was", **same)
    refuse(kept, few_digits, "log was None, now 2")
    monkeypatch.setattr(torch, "__version__", "0.1")
    refuse(kept, few_digits, "torch was .*, now 0.1", **same)
    monkeypatch.setattr(checkpoint, "_FORMAT", 0)
    refuse(kept, few_digits, "format was 1, now 0", **same)


class Bomb:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> Any:
        return Path.touch, (Path("bomb"),)


def test_a_damaged_state_is_refused_and_runs_no_code(kept, few_digits, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = kept.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for damaged in (bytes(flipped), whole[:-100], b"", pickle.dumps(Bomb())):
        kept.write_bytes(damaged)
        refuse(kept, few_digits, "is damaged")
    torch.save({"training": {}, "state": Bomb()}, kept)
    refuse(kept, few_digits, "is damaged")
    torch.save([1, 2], kept)
    refuse(kept, few_digits, "is damaged")
    assert not Path("bomb").exists()


def test_a_full_disk_does_not_end_a_training(few_digits, tmp_path, monkeypatch):
    path, saved = tmp_path / "state", []

    def save(state: Any, file: Any) -> None:
        """The second epoch finds no room."""
        saved.append(file)
        if len(saved) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.write(b"state")

    monkeypatch.setattr(torch, "save", save)
    config = TrainingConfig(epochs=2)
    with pytest.warns(UserWarning, match=rf"not saved: .*No space left on device.*{path}"):
        history = train(model_of("mlp", few_digits), few_digits, config, checkpoint=path)
    assert len(history.train_loss) == 2
    assert path.read_bytes() == b"state" and [file.name for file in tmp_path.iterdir()] == ["state"]


def test_a_training_that_diverged_leaves_no_state(few_digits, tmp_path):
    config = TrainingConfig(epochs=9, learning_rate=1e18)
    with pytest.raises(TrainingDiverged):
        train(model_of("mlp", few_digits), few_digits, config, checkpoint=tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_there_must_be_a_place_for_the_state(few_digits, tmp_path):
    (tmp_path / "file").touch()
    log = CutOff(1)
    with pytest.raises(OSError, match="file"):
        path = tmp_path / "file" / "state"
        train(model_of("mlp", few_digits), few_digits, PLAIN, on_step=log, checkpoint=path)
    assert log.seen == 0


DIES = """
import os, sys, torch
from kanlib import build_model
from kanlib.data import Images, Split
from kanlib.training import TrainingConfig, train

torch.set_num_threads(int(sys.argv[3]))
split = Split(torch.linspace(-1, 1, 6400).view(100, 1, 8, 8), torch.zeros(100, dtype=torch.long))
images = Images("made up", split, split, ("one",))
torch.manual_seed(3)
model = build_model("mlp", images.shape, 4)
steps = []


def die(*_):
    steps.append(None)
    if len(steps) == 6:  # of two an epoch
        os.kill(os.getpid(), int(sys.argv[2]))


train(model, images, TrainingConfig(epochs=4), on_step=die, checkpoint=sys.argv[1])
"""


@pytest.mark.slow
def test_a_killed_process_loses_one_epoch_at_most(tmp_path):
    script, threads = tmp_path / "dies.py", str(torch.get_num_threads())
    script.write_text(DIES)
    started = {
        number: subprocess.Popen(
            [sys.executable, script, tmp_path / number.name, str(int(number)), threads],
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in (signal.SIGKILL, signal.SIGTERM)
    }
    errors = {number: process.communicate()[1] for number, process in started.items()}
    assert f"{tmp_path / 'SIGTERM'} holds the state" in errors[signal.SIGTERM]
    split = Split(torch.linspace(-1, 1, 6400).view(100, 1, 8, 8), torch.zeros(100).long())
    images = Images("made up", split, split, ("one",))
    whole = model_of("mlp", images)
    history = train(whole, images, PLAIN)
    for number, process in started.items():
        assert process.returncode == -number, errors[number]
        model = model_of("mlp", images)
        resumed = train(model, images, PLAIN, checkpoint=tmp_path / number.name)
        assert resumed.resumed_after == [2]
        assert resumed.train_loss == history.train_loss
        assert _weights(model) == _weights(whole)


def test_patience_keeps_the_weights_of_the_best_epoch(few_digits):
    model, log = model_of("mlp", few_digits), StepLog(every=1)
    history = train(model, few_digits, WAITING, on_step=log)
    errors = history.validation_loss
    best = 1 + int(np.argmin(errors))
    assert history.best_epoch == best
    assert len(errors) == best + 2 < WAITING.epochs  # it did stop early
    assert len(log.arrays()["step_loss"]) == 3 * len(errors)
    shorter = WAITING.model_copy(update={"epochs": best, "patience": None})
    expected = model_of("mlp", few_digits)
    assert train(expected, few_digits, shorter).best_epoch is None
    assert _weights(model) == _weights(expected)


def test_patience_counts_from_the_refined_grid_on(few_digits):
    changes = {"refine": "finer", "patience": 1, "epochs": 8, "learning_rate": 0.2}
    model, config = model_of("kan-pure", few_digits), WAITING.model_copy(update=changes)
    errors = (history := train(model, few_digits, config)).validation_loss
    assert min(errors[:4]) < min(errors[4:])  # so the best of all is on the first grid
    assert history.best_epoch == 5 + int(np.argmin(errors[4:]))


def test_patience_needs_a_validation_split():
    with pytest.raises(ValueError, match=r"validation=None .*patience=3"):
        TrainingConfig(patience=3)
