"""The Snakefile: a small experiment is made once, and wrong ones are refused.

What a kill does is seen in test_faults.py.
"""

import re
from pathlib import Path

import pandas as pd
import pytest
from workflow import ONE_RUN, TINY, finish, records, write_experiment

from kanlib.experiments import load_experiment
from kanlib.report.outputs import outputs

pytestmark = pytest.mark.slow
INTERPRETABILITY = """
title: Tiny
about: Two fast runs, looked into.
notebook: notebooks/09_interpretability.ipynb
common: {dataset: digits, epochs: 2, bottleneck: 2}
grid:
  - {model: kan-pure}
  - {model: mlp, match_parameters: true}
"""


def assert_made(folder: Path, experiment: Path) -> None:
    """Beside the runs there are the tables and figures that are listed, and nothing else."""
    listed = outputs(load_experiment(experiment), experiment.stem)
    for where, stems, endings in (
        ("results", listed[0], ("csv", "md", "tex")),
        ("figures", listed[1], ("png", "pdf")),
    ):
        made = {path.name for path in (folder / where).iterdir() if path.is_file()}
        assert made == {f"{stem}.{ending}" for stem in stems for ending in endings}


def test_an_experiment_makes_what_is_listed_and_is_then_up_to_date(tmp_path):
    name = f"tiny $(touch {tmp_path.name})"  # a shell that read it as code would make a file
    text = TINY.replace("[kan, pca]", "pca")
    experiment = write_experiment(tmp_path, text).rename(tmp_path / f"{name}.yaml")
    code, output = finish(tmp_path, experiment)
    assert code == 0, output
    made = records(tmp_path)
    assert len(made) == 2
    table = pd.read_csv(tmp_path / f"results/{name}_mse.csv", index_col="model")
    assert table.shape == (1, 2) and table.notna().all(axis=None)
    assert (tmp_path / f"figures/{name}_mse.png").stat().st_size > 10_000
    assert_made(tmp_path, experiment)
    assert "Tables:" in output and f"{name}_mse.png" in output
    assert not Path(tmp_path.name).exists()

    code, output = finish(tmp_path, experiment)
    assert code == 0 and "Nothing to be done" in output
    assert records(tmp_path) == made


def test_a_wrong_experiment_is_refused_before_anything_runs(tmp_path):
    experiment = write_experiment(tmp_path, TINY.replace("pca", "pcs"))
    code, output = finish(tmp_path, experiment)
    assert code != 0
    assert "model='pcs'" in output
    assert not (tmp_path / "results").exists()


def test_switches_are_true_or_false(tmp_path):
    experiment = write_experiment(tmp_path)
    words = ["fast_cpu=False", "compiled=true"]
    code, output = finish(tmp_path, experiment, "-n", "-p", config=words)
    assert code == 0 and '"fast_cpu": false, "compiled": true' in output
    code, output = finish(tmp_path, experiment, "-n", config=["compiled=on"])
    assert code != 0 and "compiled=on" in output


def test_missing_data_are_one_clear_message_and_no_record(tmp_path):
    experiment = tmp_path / "absent.yaml"
    experiment.write_text(TINY.replace("digits", "no-such-images"))
    code, output = finish(tmp_path, experiment)
    assert code != 0
    assert output.count("dataset='no-such-images'") == 1
    assert not (tmp_path / "results/runs").exists() or not records(tmp_path)


def test_an_experiment_makes_the_records_that_its_notebook_reads_too(tmp_path):
    (tmp_path / "study.yaml").write_text(
        TINY + "notebook: notebooks/08_sensitivity.ipynb\nalso: [digits]\n"
    )
    code, output = finish(tmp_path, tmp_path / "study.yaml", "-n")
    assert code == 0, output
    assert re.search(r"^run +19$", output, re.MULTILINE), output  # 4 of its own, 15 of digits


def test_interpretability_is_an_experiment_like_any_other(tmp_path):
    experiment = write_experiment(tmp_path, INTERPRETABILITY)
    code, output = finish(tmp_path, experiment)
    assert code == 0, output
    assert len(records(tmp_path)) == 2
    assert_made(tmp_path, experiment)
    verdicts = pd.read_csv(tmp_path / "results/tiny_verdicts.csv")
    assert set(verdicts["rival_model"]) == {"mlp", "spline-mlp", "conv"}  # two were not run
    assert verdicts.set_index("rival_model").loc["conv", "interpretability"] == "not compared"


PAPERMILL = """
import os, sys
from pathlib import Path
calls = Path({folder!r}, "calls")
calls.write_text(calls.read_text() + "x" if calls.exists() else "x")
if len(calls.read_text()) <= {failures}:
    sys.exit("RuntimeError: {message}")
del os.environ["PYTHONPATH"]
os.execv(sys.executable, [sys.executable, "-m", "papermill", *sys.argv[1:]])
"""


@pytest.mark.parametrize(
    ("message", "failures", "calls"),
    [
        ("Kernel died before replying to kernel_info", 1, 2),
        ("Kernel didn't respond in 60 seconds", 9, 2),
        ("Kernel died", 9, 1),
    ],
)
def test_a_kernel_that_never_answered_is_started_once_more(tmp_path, message, failures, calls):
    fake = tmp_path / "papermill/__main__.py"
    fake.parent.mkdir()
    (tmp_path / "papermill/__init__.py").touch()  # a package without it would come last
    fake.write_text(PAPERMILL.format(folder=str(tmp_path), failures=failures, message=message))
    code, output = finish(
        tmp_path, write_experiment(tmp_path, ONE_RUN), "records", PYTHONPATH=str(tmp_path)
    )
    assert (tmp_path / "calls").read_text() == calls * "x"
    assert (code == 0) == (failures == 1), output
    assert f"RuntimeError: {message}" in output or code == 0


def test_a_run_uses_this_environments_kernel_whatever_others_there_are(tmp_path):
    kernel = tmp_path / "jupyter/kernels/python3/kernel.json"
    kernel.parent.mkdir(parents=True)
    kernel.write_text('{"argv": ["/bin/false"], "display_name": "Another", "language": "python"}')
    code, output = finish(
        tmp_path,
        write_experiment(tmp_path, ONE_RUN),
        "records",
        JUPYTER_PATH=str(tmp_path / "jupyter"),
        JUPYTER_PREFER_ENV_PATH="0",
    )
    assert code == 0, output
    assert len(records(tmp_path)) == 1
