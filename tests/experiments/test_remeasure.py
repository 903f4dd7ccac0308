"""A younger metric on older records: measured where weights are kept, absent where not."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kanlib.data import Images
from kanlib.experiments import Run, execute, load_record, load_records, to_frame
from kanlib.experiments import remeasure as command
from kanlib.experiments.remeasure import lacking, remeasure
from kanlib.training import METRICS, Outputs

KEPT, BARE = Run(model="pca", bottleneck=3), Run(model="pca", bottleneck=5)


def worst_pixel(outputs: Outputs) -> float:
    """The largest squared error of a pixel of the test images."""
    made = outputs.test_reconstructions
    return (made - outputs.images.test.images.flatten(1)).square().max().item()


@pytest.fixture
def results(few_digits: Images, tmp_path: Path) -> Path:
    """A folder with a record that has weights, and one that has none."""
    for run in (KEPT, BARE):
        execute(run, few_digits).save(tmp_path)
    BARE.path(tmp_path).with_suffix(".safetensors").unlink()
    return tmp_path


@pytest.fixture
def younger(results: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a metric that is younger than the records."""
    monkeypatch.setitem(METRICS, "worst_pixel", worst_pixel)
    return "worst_pixel"


def test_what_is_missing_is_measured_and_what_was_there_is_untouched(
    results: Path, younger: str, few_digits: Images
):
    path = KEPT.path(results)
    before = json.loads(path.read_text())
    record = load_record(path)
    assert lacking(record) == [younger]
    measured = remeasure(record, few_digits)
    assert load_record(path) == measured
    after = json.loads(path.read_text())
    assert after["evaluation"].pop(younger) > 0
    assert after["measured_later"].pop(younger)["torch"] == torch.__version__
    assert after == before
    assert lacking(measured) == []
    assert measured.evaluation == execute(KEPT, few_digits).record.evaluation
    written = path.stat().st_mtime_ns, path.stat().st_ino
    assert remeasure(measured, few_digits) == measured  # lacks nothing, and is not written
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == written


def test_without_weights_there_is_nothing_to_measure(
    results: Path, younger: str, few_digits: Images
):
    path = BARE.path(results)
    before = path.read_bytes()
    with pytest.raises(FileNotFoundError, match="bottleneck=0005"):
        remeasure(load_record(path), few_digits)
    assert path.read_bytes() == before


def test_other_data_are_refused(results: Path, younger: str, digits: Images):
    path = KEPT.path(results)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="images='digits'"):
        remeasure(load_record(path), digits)  # 192 of these were the data of the run
    assert path.read_bytes() == before


@pytest.mark.parametrize("value", [float("nan"), "0.5", torch.zeros(2)])
def test_a_metric_that_is_no_number_leaves_the_record_as_it_was(
    results: Path, few_digits: Images, monkeypatch: pytest.MonkeyPatch, value: object
):
    monkeypatch.setitem(METRICS, "broken", lambda _: value)
    path = KEPT.path(results)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="metric='broken'"):
        remeasure(load_record(path), few_digits)
    assert path.read_bytes() == before


EXPERIMENT = "title: t\nabout: a\ngrid: [{model: pca, bottleneck: [3, 5]}]\n"


@pytest.fixture
def experiment(tmp_path: Path) -> Path:
    """The file of an experiment of both runs."""
    path = tmp_path / "mine.yaml"
    path.write_text(EXPERIMENT)
    return path


def called(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of the command line."""
    monkeypatch.setattr(sys, "argv", ["remeasure", *map(str, arguments)])
    return command.main()


def test_the_command_measures_what_it_can_and_names_what_it_leaves(
    results, experiment, younger, few_digits, monkeypatch, capsys
):
    monkeypatch.setattr(command, "load_images", lambda name, root: few_digits)
    assert called(monkeypatch, experiment, "--results", results) == 0
    said = capsys.readouterr().out.splitlines()
    kept, bare = (
        next(line for line in said if str(run.path(results)) in line) for run in (KEPT, BARE)
    )
    assert younger in kept
    assert "no weights" in bare
    table = to_frame(load_records([KEPT, BARE], results))
    assert table[younger].isna().tolist() == [False, True]
    assert table["test_mse"].notna().to_numpy().all()
    assert called(monkeypatch, experiment, "--results", results) == 0
    assert str(KEPT.path(results)) not in capsys.readouterr().out  # nothing is left to do


def test_the_command_line_where_nothing_is_lacking(results, experiment, monkeypatch, capsys):
    call = [sys.executable, "-m", "kanlib.experiments.remeasure", str(experiment)]
    done = subprocess.run([*call, "--results", str(results)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert called(monkeypatch, experiment, "--results", "nowhere") == 1
    assert "nowhere" in capsys.readouterr().err
