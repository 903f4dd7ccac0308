"""A basis, a model, a metric, a data set and an experiment of one's own, from YAML to a figure.

Each is one class, function or file, and one line in a registry; no other place needs to know it.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.colors import to_hex
from torch import Tensor, nn

from kanlib import MODELS, Autoencoder, KANLinear, load
from kanlib.data import DATASETS, load_images
from kanlib.experiments import Run, execute, load_experiment, load_record, load_records, to_frame
from kanlib.models.registry import ModelSpec
from kanlib.nn.bases import BASES
from kanlib.report import figures, tables
from kanlib.report.labels import labelled
from kanlib.report.statistics import summarise
from kanlib.training import METRICS, Outputs


@dataclass(frozen=True)
class Sines:
    """sin(m x), m = 1 .. degree."""

    degree: int = 3

    @property
    def size(self) -> int:
        return self.degree

    @property
    def points(self) -> Tensor:
        return torch.linspace(-1, 1, self.degree + 1, dtype=torch.float64)

    def values(self, x: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.sin(self._angles(x), out=out)

    def slopes(self, x: Tensor) -> Tensor:
        return torch.cos(self._angles(x)) * self._frequencies(x)

    def _frequencies(self, x: Tensor) -> Tensor:
        return torch.arange(1, self.degree + 1, dtype=x.dtype, device=x.device)[:, None]

    def _angles(self, x: Tensor) -> Tensor:
        return x[..., None, :] * self._frequencies(x)


@dataclass(frozen=True)
class Tilted(Sines):
    """Sines with parameters of names that no basis of the library has."""

    tilt: float = 0.5
    form: str = "a"

    def _angles(self, x: Tensor) -> Tensor:
        return super()._angles(x + self.tilt)


def straight(shape: tuple[int, int, int], bottleneck: int) -> Autoencoder:
    """A linear map to the code, and one back."""
    pixels = shape[0] * shape[1] * shape[2]
    return Autoencoder(
        nn.Sequential(nn.Flatten(), nn.Linear(pixels, bottleneck)),
        nn.Sequential(nn.Linear(bottleneck, pixels), nn.Unflatten(1, shape)),
    )


def worst_image(outputs: Outputs) -> float:
    """The largest mean squared error of a test image."""
    errors = outputs.test_reconstructions - outputs.images.test.images.flatten(1)
    return errors.square().mean(1).max().item()


def stripes() -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Images of one bright line, across or down, in noise."""
    draw, arrays = np.random.default_rng(0), {}
    for split, size in (("train", 60), ("test", 20)):
        images = draw.integers(0, 100, (size, 1, 6, 6), dtype=np.uint8)
        labels = np.arange(size) % 2
        for image, label, place in zip(images, labels, itertools.cycle(range(6)), strict=False):
            image[0, :, place] = 255 if label else image[0, :, place]
            image[0, place, :] = image[0, place, :] if label else 255
        arrays |= {f"{split}_images": images, f"{split}_labels": labels.astype(np.int64)}
    return arrays, ("across", "down")


EXPERIMENT = """
title: Stripes
about: Are sines and a linear model of use for stripes?
common: {dataset: stripes, epochs: 2, bottleneck: [2, 3], seed: [0, 1]}
grid:
  - {model: [straight, pca]}
  - {model: kan-pure, basis: sines, degree: [2, 3]}
"""


@pytest.fixture(scope="module", autouse=True)
def extended() -> Iterator[None]:
    """The registries with a line more in each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BASES, "sines", Sines)
        patch.setitem(BASES, "tilted/sines", Tilted)
        spec = ModelSpec("linear AE", straight, colour="#123456", marker="P")
        patch.setitem(MODELS, "straight", spec)
        patch.setitem(METRICS, "worst_image", worst_image)
        patch.setitem(DATASETS, "stripes", stripes)
        yield


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the experiment and its records."""
    folder = tmp_path_factory.mktemp("stripes")
    (folder / "stripes.yaml").write_text(EXPERIMENT)
    plan = load_experiment(folder / "stripes.yaml")
    images = load_images(plan.dataset)
    for run in plan.runs():
        execute(run, images).save(folder)
    return folder


@pytest.fixture
def runs(results: Path) -> list[Run]:
    """The runs of the experiment."""
    return load_experiment(results / "stripes.yaml").runs()


def test_what_is_new_goes_all_the_way_to_a_table_and_a_figure(
    runs: list[Run], results: Path, tmp_path: Path
):
    frame = to_frame(load_records(runs, results))
    assert len(frame) == 16
    assert (frame["worst_image"] > frame["test_mse"]).to_numpy().all()
    common = {"dataset": "stripes", "epochs": 2}
    summary = labelled(summarise(frame, ["test_mse", "worst_image"]), common)
    names = ["linear AE", "PCA", "pure KAN, basis sines, degree 2", "pure KAN, basis sines"]
    assert list(dict.fromkeys(summary["label"])) == names
    table = tables.by_bottleneck(summary, "worst_image")
    assert list(table.index) == names
    assert list(table.columns) == [2, 3]
    assert table.notna().to_numpy().all()
    tables.save(table, tmp_path, "stripes_worst")
    written = pd.read_csv(tmp_path / "stripes_worst.csv", index_col="model")
    assert written.to_numpy() == pytest.approx(table.to_numpy())
    figure = figures.against_bottleneck(summary, "worst_image")
    drawn = {container.get_label(): container[0] for container in figure.axes[0].containers}
    assert set(drawn) == set(names)
    assert to_hex(drawn["linear AE"].get_color()) == "#123456"
    assert drawn["linear AE"].get_marker() == "P"
    assert "worst image" in figure.axes[0].get_ylabel()


def test_a_trained_model_with_a_new_basis_comes_back(runs: list[Run], results: Path):
    run = next(run for run in runs if run.basis == "sines" and run.degree == 2)
    assert "basis=sines_degree=2" in run.path(results).name
    model = load(run.path(results))
    assert {m.basis for m in model.modules() if isinstance(m, KANLinear)} == {Sines(2)}
    images = load_images("stripes")
    again = execute(run, images).model
    with torch.inference_mode():
        assert torch.equal(model(images.test.images), again(images.test.images))


def test_a_parameter_of_a_new_name_goes_from_yaml_to_a_record_and_a_label(
    tmp_path: Path, results: Path
):
    text = EXPERIMENT[: EXPERIMENT.index("  - {model: [straight")] + (
        "  - {model: kan-pure, basis: tilted/sines, degree: 2,"
        " basis_options: [null, {tilt: 1e-1, form: '/?'}, {tilt: 0.5}]}\n"
    )
    (tmp_path / "tilted.yaml").write_text(text)
    plain, other, *_ = load_experiment(tmp_path / "tilted.yaml").runs()
    assert plain.basis_options is None
    assert other == Run.model_validate_json(other.model_dump_json())
    path = execute(other, load_images("stripes")).save(tmp_path).record.path
    assert path.parent == tmp_path / "runs/stripes/kan-pure"
    named = "_basis=tilted%2Fsines_basis.form=%2F%3F_basis.tilt=0.1_degree=2_epochs=2"
    assert path.stem.endswith(named)
    model = load(path)
    assert {m.basis for m in model.modules() if isinstance(m, KANLinear)} == {Tilted(2, 0.1, "/?")}
    sines = load_experiment(results / "stripes.yaml").runs()
    frame = to_frame([load_record(path), *load_records(sines, results)])
    summary = labelled(summarise(frame, ["test_mse"]), {"dataset": "stripes", "epochs": 2})
    assert (
        summary["label"].tolist()[0] == "pure KAN, basis tilted/sines, degree 2, form /?, tilt 0.1"
    )
    tables.save(summary, tmp_path, "tilted")
    assert "tilt 0.1" in (tmp_path / "tilted.md").read_text()


@pytest.mark.parametrize("options", [{"tlit": 1.0}, {"tilt": [1.0]}, {"degree": 2}, "tilt"])
def test_a_wrong_option_of_a_basis_is_named(options: Any):
    with pytest.raises(ValueError, match=r"basis_options.*(tlit=|0.1|degree=|tilt)"):
        Run(basis="tilted/sines", basis_options=options)


def test_a_basis_that_cannot_be_made_without_arguments_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BASES, "bare", Autoencoder)
    with pytest.raises(ValueError, match="basis='bare'"):
        Run(basis="bare")


def test_a_record_of_what_is_not_registered_names_it(
    runs: list[Run], results: Path, monkeypatch: pytest.MonkeyPatch
):
    path = next(run for run in runs if run.basis == "sines").path(results)
    monkeypatch.delitem(BASES, "sines")
    with pytest.raises(ValueError, match="basis='sines'"):
        load_record(path)


def test_a_grid_that_runs_cannot_ask_for_is_named(monkeypatch: pytest.MonkeyPatch):
    @dataclass(frozen=True)
    class OneSided(Sines):
        grid_range: tuple[float, float] = (0.0, 1.0)

    monkeypatch.setitem(BASES, "one-sided", OneSided)
    with pytest.raises(ValueError, match=r"basis='one-sided'.*grid_range=\(0\.0, 1\.0\)"):
        Run(basis="one-sided")
