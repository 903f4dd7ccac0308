"""The notebooks as documents (in milliseconds), and one real batch run of the training notebook."""

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import torch
from cells import NOTEBOOKS, code_cells, default_parameters, has_parameters, run_cells, source

import kanlib
from kanlib.data import load_images
from kanlib.experiments import Run, execute, load_arrays, load_experiment, load_record
from kanlib.report.outputs import OUTPUTS, Outputs, outputs

TRAIN = "notebooks/02_train_autoencoder.ipynb"


def papermill(folder: Path, parameters: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """The training notebook, as a cluster runs it; its record goes into ``folder``."""
    command = [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", TRAIN]
    command += [str(folder / "out.ipynb"), "-p", "results_dir", str(folder)]
    command += ["-y", json.dumps(parameters)]
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


def statements(code: str) -> int:
    """How many there are, imports apart; the formatter may spread one over many lines."""
    nodes = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.stmt)]
    return sum(not isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_reads_like_a_text(path):
    notebook = nbformat.read(path, as_version=4)
    prose = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    code = code_cells(path)
    assert notebook.cells[0].cell_type == "markdown" and notebook.cells[0].source.startswith("# ")
    assert notebook.metadata.kernelspec.name == "python3"
    assert len(prose) * 2 >= len(code)
    for cell in code:
        assert has_parameters(cell) or statements(source(cell)) <= 12, cell.source
        assert not re.search("^class ", cell.source, re.MULTILINE)
        for word in ("sys.path", "pip install", "/home/", "/root/"):
            assert word not in cell.source


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if not p.name.startswith("01")], ids=lambda path: path.stem
)
def test_a_notebook_has_one_parameters_cell_and_a_guard(path):
    assert sum(map(has_parameters, code_cells(path))) == 1
    assert any("read_parameters(" in cell.source for cell in code_cells(path))


def test_the_training_notebook_has_every_parameter_of_a_run():
    values = default_parameters(TRAIN)
    own = {name: value for name, value in values.items() if name in Run.model_fields}
    assert own.keys() == Run.model_fields.keys()
    defaults = {name: field.default for name, field in Run.model_fields.items()}
    assert own == defaults
    assert Run(**own) == Run()


def written(path: Path) -> Outputs:
    """What the source of a notebook names; "{name}" stands for its experiment's name."""
    found: dict[str, list[str]] = {"results_dir": [], "figures_dir": [], "kept": []}
    names = {"stem": "{name}", "file": SimpleNamespace(stem="{name}")}
    for cell in code_cells(path):
        for node in ast.walk(ast.parse(source(cell))):
            match node:
                case ast.Call(ast.Attribute(attr="save"), [_, ast.Name(kind), stem]):
                    pass
                case ast.BinOp(ast.Call(ast.Name("Path"), [ast.Name("results_dir")]), _, stem):
                    kind = "kept"
                case _:
                    continue
            name = eval(compile(ast.Expression(stem), path, "eval"), dict(names))
            found[kind].append(name.removesuffix(".csv"))
    tables, figures, kept = (tuple(sorted(stems)) for stems in found.values())
    return Outputs(tables=tables, figures=figures, kept=kept)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_writes_what_the_list_of_outputs_says(path):
    listed, found = OUTPUTS.get(str(path), Outputs()), written(path)
    for kind in ("tables", "figures", "kept"):
        assert tuple(sorted(getattr(listed, kind))) == getattr(found, kind)


@pytest.mark.slow
def test_an_experiment_without_kans_has_figures_too(tmp_path):
    experiment = tmp_path / "plain.yaml"
    experiment.write_text("title: t\nabout: a\ngrid: [{model: pca, bottleneck: 4}]\n")
    plan = load_experiment(experiment)
    execute(plan.runs()[0], load_images("digits")).save(tmp_path)
    where = {"results_dir": str(tmp_path), "figures_dir": str(tmp_path / "figures")}
    run_cells("notebooks/04_figures.ipynb", where | {"experiment": str(experiment)})
    made = {path.stem for path in (tmp_path / "figures").iterdir()}
    assert made == set(outputs(plan, "plain")[1])


def test_the_readme_lists_every_notebook():
    text = Path("notebooks/README.md").read_text()
    assert all(f"({path.name})" in text for path in NOTEBOOKS)


@pytest.mark.slow
def test_papermill_turns_every_parameter_into_a_record_with_weights(tmp_path):
    settings = {
        "dataset": "digits",
        "model": "kan",
        "bottleneck": 3,
        "seed": 5,
        "preset": "authors",
        "hidden": 7,
        "match_parameters": False,
        "separate_scale": False,
        "layer_norm": True,
        "output": "tanh",
        "learning_rate": 0.02,
        "weight_decay": 0.01,
        "epochs": 2,
        "batch_size": 32,
        "decay": 0.5,
        "basis": "chebyshev",
        "degree": 3,
        "base": "identity",
        "init_noise": 0.3,
    }
    others = Run.model_fields.keys() - settings.keys()  # of other models or bases
    of_others = {name: Run.model_fields[name].default for name in others}
    done = papermill(tmp_path, settings | of_others)
    assert done.returncode == 0, done.stderr[-2000:]
    run = Run(**settings)
    record = load_record(run.path(tmp_path))
    assert record.run.model_dump() == settings | of_others
    assert len(record.history.test_loss) == 2
    assert record.training.batch_size == 32
    arrays = load_arrays(record)
    assert arrays["reconstructions"].shape == (10, 1, 8, 8)
    steps = 2 * 45  # 1,437 images, 32 a step
    assert arrays["step_loss"].shape == arrays["gradient_norm"].shape == (steps // 10,)
    assert arrays["dead_units"].shape == (2,)
    assert arrays["coverage_after"].shape == (0, 3)  # polynomials have no grid
    with torch.no_grad():
        made = kanlib.load(record.path)(torch.from_numpy(arrays["originals"])).numpy()
    assert made == pytest.approx(arrays["reconstructions"], abs=1e-3)


@pytest.mark.slow
def test_the_training_notebook_can_be_run_again_from_its_parameters(tmp_path):
    cells = code_cells(TRAIN)
    [start] = [place for place, cell in enumerate(cells) if has_parameters(cell)]
    names: dict[str, Any] = {}
    for number, again in enumerate((cells, cells[start:])):
        for cell in again:
            exec(source(cell), names)
            if has_parameters(cell):
                names |= {"results_dir": str(tmp_path), "model": "pca", "bottleneck": 3 + number}
    assert len(list(tmp_path.rglob("*.json"))) == 2
    names |= {"botleneck": 9, "results_dir": str(tmp_path)}
    with pytest.raises(ValueError, match="botleneck=9"):
        exec(source(cells[start + 1]), names)


@pytest.mark.slow
def test_the_training_notebook_trains_what_was_asked_for_and_shows_a_longer_training(tmp_path):
    names = default_parameters(TRAIN)
    run_cells(TRAIN, {"results_dir": str(tmp_path)})
    [path] = tmp_path.rglob("*.json")
    assert load_record(path).run == Run(**{n: names[n] for n in Run.model_fields}) == Run()


@pytest.mark.slow
def test_a_wrong_parameter_stops_papermill_before_training(tmp_path):
    done = papermill(tmp_path, {"botleneck": 9})
    assert done.returncode != 0
    assert "botleneck=9" in done.stderr
    assert not list(tmp_path.rglob("*.json"))
