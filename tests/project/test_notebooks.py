"""The notebooks as documents (in milliseconds), and one real batch run of the training notebook."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from kanlib.data import load_images
from kanlib.experiments import Record, Run, load_arrays, load_record, save_record
from kanlib.experiments.environment import environment
from kanlib.training import evaluate, train
from kanlib.training.diagnostics import picture_arrays

NOTEBOOKS = sorted(Path("notebooks").glob("*.ipynb"))
IMPORT = re.compile(r"(from \S+ )?import |$")
TRAIN = "notebooks/02_train_autoencoder.ipynb"


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def papermill(tmp_path, *arguments):
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", TRAIN]
    command += [str(tmp_path / "out.ipynb"), "-p", "results_dir", str(tmp_path), *arguments]
    environment = os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_run_from_top_to_bottom_and_kept_its_output(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    printed = [
        o
        for cell in cells
        for o in cell.outputs
        if "nbval-ignore-output" not in cell.metadata.get("tags", [])
    ]
    assert any(o.output_type == "stream" or "text/plain" in o.get("data", {}) for o in printed)
    assert not any(o.output_type == "error" for cell in cells for o in cell.outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_like_a_text(path):
    notebook = nbformat.read(path, as_version=4)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    code = code_cells(path)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(prose) * 2 >= len(code)
    for cell in code:
        if "parameters" not in cell.metadata.get("tags", []):
            lines = [line for line in cell.source.splitlines() if not IMPORT.match(line)]
            assert len(lines) <= 12, cell.source
        for word in ("class ", "sys.path", "pip install", "/home/", "/root/"):
            assert word not in cell.source


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if not p.name.startswith("01")], ids=lambda path: path.stem
)
def test_a_notebook_has_one_parameters_cell_and_a_guard(path):
    tagged = [c for c in code_cells(path) if "parameters" in c.metadata.get("tags", [])]
    assert len(tagged) == 1
    assert any("read_parameters(" in cell.source for cell in code_cells(path))


def test_the_training_notebook_has_every_parameter_of_a_run():
    cell = next(c for c in code_cells(TRAIN) if "parameters" in c.metadata.get("tags", []))
    values = {}
    exec(cell.source, values)
    defaults = {name: field.default for name, field in Run.model_fields.items()}
    assert {name: values[name] for name in defaults} == defaults


@pytest.mark.slow
def test_an_experiment_without_kans_has_figures_too(tmp_path):
    (tmp_path / "plain.yaml").write_text(
        "title: t\nabout: a\ngrid: [{model: pca, bottleneck: 4}]\n"
    )
    run, digits = Run(model="pca", bottleneck=4), load_images("digits")
    model = run.build_model(digits.shape)
    history = train(model, digits, run.training())
    record = Record(
        run=run, training=run.training(), evaluation=evaluate(model, digits), history=history,
        classes=digits.classes, data_fingerprint=digits.fingerprint, wall_seconds=1.0,
        environment=environment("cpu", "default"),
    )  # fmt: skip
    save_record(record, tmp_path, picture_arrays(model, digits))
    names: dict[str, Any] = {}
    for cell in code_cells("notebooks/04_figures.ipynb"):
        exec(cell.source.removeprefix("%matplotlib inline"), names)
        if "parameters" in cell.metadata.get("tags", []):
            names |= {"experiment": str(tmp_path / "plain.yaml")}
            names |= {"results_dir": str(tmp_path), "figures_dir": str(tmp_path / "figures")}
    made = {path.stem.removeprefix("plain_") for path in (tmp_path / "figures").iterdir()}
    assert made == {"mse", "accuracy", "reconstructions", "training", "confusion"}


def test_the_readme_lists_every_notebook():
    text = Path("notebooks/README.md").read_text()
    assert all(f"({path.name})" in text for path in NOTEBOOKS)


@pytest.mark.slow
def test_papermill_turns_every_parameter_into_a_record(tmp_path):
    wanted = {
        "dataset": "digits", "model": "kan", "bottleneck": 3, "seed": 5, "preset": "authors",
        "hidden": 7, "match_parameters": False, "separate_scale": False, "output": "tanh",
        "learning_rate": 0.02, "weight_decay": 0.01, "epochs": 2, "batch_size": 32, "decay": 0.5,
        "grid_size": 4, "spline_order": 2, "grid_range": 2.0, "base": "identity",
        "init_noise": 0.3, "refine": "finer",
    }  # fmt: skip
    done = papermill(tmp_path, "-y", json.dumps(wanted))
    assert done.returncode == 0, done.stderr[-2000:]
    run = Run(**wanted)
    record = load_record(run.path(tmp_path))
    assert record.run.model_dump() == wanted
    assert len(record.history.test_loss) == 2
    assert record.training.batch_size == 32
    assert 0.0 < record.evaluation.test_mse < 1.0
    arrays = load_arrays(run.path(tmp_path))
    assert arrays["reconstructions"].shape == (10, 1, 8, 8)
    steps = 2 * 45  # 1,437 images, 32 a step
    assert arrays["step_loss"].shape == arrays["gradient_norm"].shape == (steps // 10,)
    assert arrays["dead_units"].shape == (2,)
    assert arrays["coverage_before"].shape == arrays["coverage_after"].shape == (2, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ("botleneck: 9", "botleneck=9 is not a parameter of this notebook (did you mean"),
        ("{bottleneck: 0, model: kna}", "model='kna': Input should be 'kan', 'kan-pure'"),
        ("bottleneck: 65", "bottleneck=65 must be between 1 and 64"),
    ],
    ids=["misspelt", "wrong values", "larger than the image"],
)
def test_a_wrong_parameter_stops_papermill_before_training(tmp_path, parameters, message):
    done = papermill(tmp_path, "-y", parameters)
    assert done.returncode != 0
    assert message in done.stderr
    assert not list(tmp_path.rglob("*.json"))
