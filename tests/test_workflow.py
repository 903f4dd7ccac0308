"""The Snakefile: a small experiment, killed and resumed; wrong experiments are refused."""

import os
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest

EXPERIMENT = """
title: Tiny
about: Three fast runs.
common: {dataset: digits, epochs: 2}
grid:
  - {model: [kan, pca], bottleneck: [2, 4]}
"""
pytestmark = pytest.mark.slow


def start(folder, experiment, *more):
    command = [sys.executable, "-m", "snakemake", "--profile", "profiles/local", "--cores", "2"]
    command += [*more, "--config", f"experiment={experiment}", f"results={folder}/results"]
    return subprocess.Popen(
        [*command, f"figures={folder}/figures"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(*arguments):
    process = start(*arguments)
    output, _ = process.communicate(timeout=600)
    return process.returncode, output


def records(folder):
    return {p: p.stat().st_mtime_ns for p in sorted((folder / "results/runs").rglob("*.json"))}


def test_a_killed_experiment_resumes_and_is_then_up_to_date(tmp_path):
    experiment = tmp_path / "tiny.yaml"
    experiment.write_text(EXPERIMENT)
    process = start(tmp_path, experiment)
    deadline = time.monotonic() + 300
    while not records(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    whole = records(tmp_path)
    assert 1 <= len(whole) < 4

    code, output = finish(tmp_path, experiment)
    assert code == 0, output
    assert len(records(tmp_path)) == 4
    assert whole.items() <= records(tmp_path).items()  # what was whole was not made again
    table = pd.read_csv(tmp_path / "results/tiny_mse.csv", index_col="model")
    assert table.shape == (2, 2) and table.notna().all(axis=None)
    assert (tmp_path / "figures/tiny_mse.png").stat().st_size > 10_000
    assert "Tables:" in output and "tiny_mse.png" in output

    made = records(tmp_path)
    started = time.monotonic()
    code, output = finish(tmp_path, experiment)
    assert code == 0 and "Nothing to be done" in output
    assert records(tmp_path) == made
    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (EXPERIMENT.replace("grid:", "gird:"), "gird is not a known name"),
        (EXPERIMENT.replace("epochs", "epoch"), "epoch is not a known name"),
        (EXPERIMENT.replace("pca", "pcs"), "model='pcs'"),
    ],
    ids=["key of the file", "parameter of the runs", "value"],
)
def test_a_wrong_experiment_is_refused_before_anything_runs(tmp_path, text, message):
    (tmp_path / "wrong.yaml").write_text(text)
    code, output = finish(tmp_path, tmp_path / "wrong.yaml", "-n")
    assert code != 0
    assert message in output


def test_missing_data_are_one_clear_message_and_no_record(tmp_path):
    experiment = tmp_path / "absent.yaml"
    experiment.write_text(EXPERIMENT.replace("digits", "no-such-images"))
    code, output = finish(tmp_path, experiment)
    assert code != 0
    assert output.count("dataset='no-such-images' was not found. Looked for:") == 1
    assert not (tmp_path / "results/runs").exists() or not records(tmp_path)
