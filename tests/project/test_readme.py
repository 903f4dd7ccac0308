"""The README keeps its word: commands run, tables are the committed ones, links lead somewhere."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from workflow import exclusive

from kanlib.experiments import load_experiment

README = Path("README.md").read_text()
# Not run here, and why.
SKIPPED = {
    "git clone": "needs an address",
    "cd kanlib": "belongs to git clone",
    "make test": "would run itself",
    "make lab": "waits for a browser",
    "make lock": "asks the network for new versions",
    "make clean": "would remove what other tests are using",
    "conda": "needs conda",
    "make bench": "takes the machine for itself",
    "make faults": "takes minutes; tests/test_faults.py kills five times",
    ".venv/bin/snakemake --profile profiles/slurm": "needs a cluster; see tests/test_cluster.py",
}

# Errors and accuracies in the prose: table in results/, its row, its column.
KAN, TEXT, ALONE = 'model == "KAN, authors\' code"', "model == 'KAN'", "model == 'KAN layers alone'"
MLP, CNN, PCA = "model == 'MLP, matched'", "model == 'CNN'", "model == 'PCA'"
MATCHED = "model == 'CNN, matched'"
ENCODER = f"{ALONE} and part == 'encoder'"
QUOTED = [
    ("0.9792", "elbow-mnist", "bottleneck == 784 and label != 'PCA'",
     "leaky_knn_reconstruction_accuracy"),
    ("0.9791", "audit", "measure == 'accuracy at 784: published'", "from"),
    ("0.0108", "elbow-cifar10", "bottleneck == 522 and label == 'KAN'", "test_mse"),
    ("0.0050", "elbow-cifar10", "bottleneck == 522 and label == 'KAN layers alone'", "test_mse"),
    ("0.2254", "small-mnist_mse", KAN, "9"),
    ("0.2236", "small-mnist_mse", CNN, "9"),
    ("0.1822", "small-mnist_mse", "model == \"KAN, paper's text\"", "9"),
    ("0.1246", "small-mnist_mse", ALONE, "9"),
    ("0.1424", "small-mnist_mse", PCA, "9"),
    ("0.1045", "small-mnist_mse", MLP, "9"),
    ("0.0502", "small-cifar10_mse", ALONE, "32"),
    ("0.0656", "small-cifar10_mse", CNN, "32"),
    ("0.0498", "small-cifar10_mse", PCA, "32"),
    ("0.0497", "small-cifar10_mse", MLP, "32"),
    ("0.0053", "tuned-cifar10_mse", ALONE, "500"),
    ("0.0103", "tuned-cifar10_mse", MLP, "500"),
    ("0.0042", "tuned-cifar10_mse", PCA, "500"),
    ("0.0203", "small-svhn_mse", ALONE, "32"),
    ("0.0273", "small-svhn_mse", CNN, "32"),
    ("0.0115", "small-svhn_mse", PCA, "32"),
    ("0.0129", "small-svhn_mse", MLP, "32"),
    ("0.0218", "small-svhn_mse", MATCHED, "32"),
    ("0.1771", "small-mnist_mse", MATCHED, "9"),
    ("0.1665", "worth-mnist", TEXT, "test_mse"),
    ("0.1253", "worth-mnist", ALONE, "test_mse"),
    ("0.1060", "worth-mnist", MLP, "test_mse"),
    ("0.0981", "worth-mnist", "model == 'Spline MLP, matched'", "test_mse"),
    ("0.1199", "sensitivity-mnist", "setting == 'separate_scale'", "test_mse"),
    ("0.1253", "sensitivity-mnist", "setting == 'unchanged'", "test_mse"),
    ("0.0935", "sensitivity-mnist", "setting == 'hidden'", "test_mse"),
    ("0.0892", "sensitivity-mnist_deep", "setting == 'grid_size + grid_range'", "test_mse"),
    ("0.1271", "interpretability-mnist_ablation", ENCODER, "line"),
    ("0.1250", "interpretability-mnist_ablation", ENCODER, "whole"),
    ("0.1534", "interpretability-mnist_ablation", f"{ALONE} and part == 'decoder'", "line"),
    ("0.0098", "series-gunpoint_mse", ALONE, "2"),
    ("0.0165", "series-gunpoint_mse", CNN, "2"),
    ("0.0159", "series-gunpoint_mse", MLP, "2"),
    ("0.0133", "series-gunpoint_mse", PCA, "2"),
    ("0.1515", "stability-mnist", TEXT, "test_mse_min"),
    ("0.2301", "stability-mnist", TEXT, "test_mse_max"),
]  # fmt: skip


# Experiments of a row of the README's table, its runs and its minutes.
ROW = re.compile(r"^\| (\[.+\.yaml\)) \|.*\| (\d+) \| (\d+) \|$", re.MULTILINE)


def fenced(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def commands():
    lines = [line.split(" #")[0].strip() for block in fenced("bash") for line in block.splitlines()]
    return [line for line in dict.fromkeys(lines) if line and not line.startswith(tuple(SKIPPED))]


def test_the_readme_has_commands_to_test():
    assert "make paper" in commands()
    assert "make paper EXPERIMENT=mnist" in commands()


@pytest.mark.slow
@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_works(command):
    if not Path(".venv/.installed").exists():
        pytest.skip("the README's commands use .venv, which `make setup` makes")
    environment = os.environ | {"TQDM_DISABLE": "1"}
    with exclusive():
        done = subprocess.run(
            command, shell=True, capture_output=True, text=True, env=environment, timeout=900
        )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


@pytest.mark.parametrize("snippet", fenced("python"))
def test_a_python_snippet_of_the_readme_runs(snippet, tmp_path):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", snippet], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", re.findall(r"<!-- (results/\S+\.md) -->", README))
def test_a_table_of_the_readme_is_the_committed_one(path):
    table = README.split(f"<!-- {path} -->\n")[1].split("<!-- end -->")[0]
    assert table == Path(path).read_text()


@pytest.mark.parametrize(("number", "table", "row", "column"), QUOTED)
def test_a_number_in_the_prose_is_that_of_its_table(number, table, row, column):
    rows = pd.read_csv(f"results/{table}.csv").query(row)
    assert f"{rows[column].item():.4f}" == number


def test_every_error_in_the_prose_has_a_table():
    prose = re.sub(r"<!-- results.*?<!-- end -->", "", README, flags=re.DOTALL)
    assert set(re.findall(r"\b0\.\d{4}\b", prose)) == {number for number, *_ in QUOTED}


def test_links_of_the_readme_lead_somewhere():
    targets = re.findall(r"\]\(([^)#]+)[^)]*\)", README)
    assert targets
    missing = [t for t in targets if not t.startswith("http") and not Path(t).exists()]
    assert not missing


@pytest.mark.parametrize(("links", "runs", "minutes"), ROW.findall(README))
def test_costs_of_experiments_are_those_of_their_records(links, runs, minutes):
    plans = [load_experiment(path) for path in re.findall(r"\((experiments/.+?)\)", links)]
    records = {str(run.path("results")) for plan in plans for run in plan.runs()}
    assert len(records) == int(runs)
    seconds = sum(json.loads(Path(record).read_text())["wall_seconds"] for record in records)
    assert seconds / 2 / 60 == pytest.approx(int(minutes), abs=1)


def test_the_table_of_experiments_has_costs():
    assert len(ROW.findall(README)) >= 15
