"""The committed numbers: tables agree with their records, and records with their runs."""

from pathlib import Path

import pandas as pd
import pytest

from kanlib.experiments import load_experiment
from kanlib.results import load_record, load_records
from kanlib.statistics import summarise

COMMITTED = sorted(
    path for path in Path("experiments").glob("*.yaml") if Path(f"results/{path.stem}.csv").exists()
    and path.stem != "digits"
)  # fmt: skip


def test_the_paper_experiment_is_committed():
    assert Path("experiments/mnist.yaml") in COMMITTED


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_committed_table_follows_from_the_committed_records(path):
    records = load_records(load_experiment(path).runs(), "results")
    table = pd.read_csv(f"results/{path.stem}.csv")
    metrics = ["test_mse", "knn_accuracy", "leaky_knn_code_accuracy", "parameters"]
    fresh = summarise(records, metrics)
    assert list(table["label"]) == list(fresh["label"])
    for metric in metrics:
        assert table[metric].to_numpy() == pytest.approx(fresh[metric].to_numpy(), rel=1e-12)


def test_every_committed_record_is_valid_and_lies_where_its_run_says():
    paths = [p for p in Path("results/runs").rglob("*.json") if "digits" not in p.parts]
    assert paths
    for path in paths:
        record = load_record(path)
        assert record.run.path("results") == path
        assert record.environment.git_commit and not record.environment.git_dirty
        assert path.with_suffix(".npz").exists()
