"""Files that a user may have been given run no code, whatever is in them."""

import os
import pickle
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from folders import write_folder
from records import make_record

from kanlib import MODELS, build_model
from kanlib.data import load_images
from kanlib.experiments import Run, load_arrays, load_experiment


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (self.folder,)


@pytest.fixture
def sprung(tmp_path):
    """The folder that a trap makes."""
    return tmp_path / "sprung"


@pytest.fixture
def trap(sprung):
    """A pickle that does something; it is shown that it does."""
    content = pickle.dumps(Trap(sprung), protocol=2)  # as torch reads it
    pickle.loads(content)
    sprung.rmdir()
    yield content
    assert not sprung.exists()


def test_cifar10_is_not_unpickled_unless_it_is_the_published_one(tmp_path, trap, own_cache):
    batches = tmp_path / "root" / "cifar-10-batches-py"
    batches.mkdir(parents=True)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"):
        (batches / name).write_bytes(trap)
    with pytest.raises(ValueError, match=r"dataset='cifar10' in .*root .*cifar-10-batches-py"):
        load_images("cifar10", tmp_path / "root")


def test_an_old_copy_of_mnist_is_not_unpickled(tmp_path, trap, own_cache):
    for folder, names in (
        ("raw", ("train-images-idx3-ubyte",)),
        ("processed", ("training.pt", "test.pt")),
    ):
        (tmp_path / "root" / "MNIST" / folder).mkdir(parents=True)
        for name in names:
            (tmp_path / "root" / "MNIST" / folder / name).write_bytes(trap)
    with pytest.raises(ValueError, match=r"dataset='mnist' in .*root "):
        load_images("mnist", tmp_path / "root")


def test_arrays_beside_a_record_are_not_unpickled(tmp_path, trap, sprung):
    np.savez(tmp_path / "record.npz", originals=np.array([Trap(sprung)]))
    with pytest.raises(ValueError, match=r"record.npz "):
        load_arrays(make_record(Run()).at(tmp_path / "record.json"))


def test_a_cached_array_is_not_unpickled(tmp_path, trap, sprung, own_cache):
    write_folder(tmp_path / "root" / "pets")
    before = load_images("pets", tmp_path / "root")
    (kept,) = (own_cache / "decoded").iterdir()
    np.save(kept / "test_labels.npy", np.array([Trap(sprung)]))
    assert load_images("pets", tmp_path / "root").fingerprint == before.fingerprint


def test_an_experiment_builds_no_objects(tmp_path, sprung, trap):
    path = tmp_path / "e.yaml"
    path.write_text(f"title: !!python/object/apply:os.mkdir [{sprung}]\nabout: a\ngrid: [{{}}]\n")
    with pytest.raises(ValueError, match=r"e.yaml.*python/object/apply:os.mkdir"):
        load_experiment(path)


def test_the_message_about_an_experiment_stays_short_however_large_its_values(tmp_path):
    # Each line names the one before ten times: ten lines are 10^10 values.
    lines = [
        "a: &a0 [x]",
        *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)),
    ]
    path = tmp_path / "e.yaml"
    path.write_text("\n".join([*lines, "title: t", "about: a", "grid: [{seed: *a9}]"]))
    with pytest.raises(ValueError, match="a9") as caught:
        load_experiment(path)
    assert len(str(caught.value)) < 20_000


@pytest.mark.parametrize("name", MODELS)
def test_a_model_is_kept_as_numbers_alone(name, tmp_path):
    model, other = (build_model(name, (1, 8, 8), 5) for _ in range(2))
    if name in ("pca", "lsa"):
        model.fit(torch.rand(9, 1, 8, 8))  # pyright: ignore
    images = torch.rand(3, 1, 8, 8)
    assert not torch.equal(other(images), model(images))
    torch.save(model.state_dict(), tmp_path / "model.pt")
    other.load_state_dict(torch.load(tmp_path / "model.pt", weights_only=True))
    assert torch.equal(other(images), model(images))


def test_a_file_that_pretends_to_be_a_model_runs_nothing(tmp_path, trap, sprung):
    torch.save({"weight": Trap(sprung)}, tmp_path / "model.pt")
    (tmp_path / "old.pt").write_bytes(trap)
    for file in ("model.pt", "old.pt"):
        with pytest.raises(pickle.UnpicklingError, match=r"(?i)weights.only"):
            torch.load(tmp_path / file, weights_only=True)


FOUND = "echo jinja2 3.1.2 CVE-2024-22195; echo Found 1 known vulnerability >&2; exit 1"
REFUSED = "printf 'Traceback (most recent call last):\\nConnectionError: no route\\n' >&2; exit 1"


@pytest.mark.parametrize(
    ("answer", "code", "printed"),
    [
        ("echo No known vulnerabilities found >&2", 0, "No known vulnerabilities found\n"),
        (FOUND, 2, "jinja2 3.1.2 CVE-2024-22195\nFound 1 known vulnerability\n"),
        (REFUSED, 2, "ConnectionError: no route\nNothing was audited: "),
    ],
    ids=["none", "one", "no answer"],
)
def test_an_audit_without_an_answer_is_not_taken_for_a_good_one(answer, code, printed, tmp_path):
    (tmp_path / "pip-audit").write_text(f"#!/bin/sh\n{answer}\n")
    (tmp_path / "pip-audit").chmod(0o755)
    done = subprocess.run(
        ["make", "audit", f"BIN={tmp_path}", "--assume-old=.venv/.installed"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == code
    assert done.stdout.startswith(printed)
