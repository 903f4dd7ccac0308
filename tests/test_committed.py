"""The committed numbers: tables agree with their records, and records with their runs."""

import os
from pathlib import Path

import pandas as pd
import pytest

from kanlib import verdicts
from kanlib.cpu import fast_products
from kanlib.data import load_images
from kanlib.experiments import load_experiment
from kanlib.results import load_record, load_records
from kanlib.runs import Run
from kanlib.statistics import summarise
from kanlib.training import reconstruction_error, train

COMMITTED = sorted(
    path for path in Path("experiments").glob("*.yaml") if Path(f"results/{path.stem}.csv").exists()
    and path.stem != "digits"
)  # fmt: skip
JUDGED = ("small-mnist", "tuned-mnist", "small-svhn")  # the default of notebooks/06_verdicts.ipynb


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


def test_the_committed_verdicts_follow_from_the_committed_records():
    table = pd.read_csv("results/verdicts.csv")
    plans = [load_experiment(f"experiments/{name}.yaml") for name in JUDGED]
    records = pd.concat([load_records(plan.runs(), "results") for plan in plans])
    fresh = verdicts.compare(records)
    keys = ["claim", "protocol", "metric", "dataset", "bottleneck", "kan", "rival"]
    both = table.merge(fresh, on=keys, suffixes=("", "_fresh"))
    assert len(both) == len(fresh) == len(table) > 0
    for name in ("kan_value", "difference", "low", "high", "bootstrap_low", "bootstrap_high"):
        assert both[name].to_numpy() == pytest.approx(both[f"{name}_fresh"].to_numpy(), rel=1e-9)
    assert both["verdict"].tolist() == both["verdict_fresh"].tolist()


def test_every_committed_record_is_valid_and_lies_where_its_run_says():
    paths = [p for p in Path("results/runs").rglob("*.json") if "digits" not in p.parts]
    assert paths
    for path in paths:
        record = load_record(path)
        assert record.run.path("results") == path
        assert record.environment.git_commit and not record.environment.git_dirty
        assert path.with_suffix(".npz").exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not Path(os.environ.get("KANLIB_DATA", "nowhere"), "MNIST").exists(),
    reason="KANLIB_DATA has no MNIST/",
)
def test_a_committed_run_trained_again_gives_its_record():
    run = Run(dataset="mnist", model="mlp", bottleneck=9)
    record = load_record(run.path("results"))
    images = load_images("mnist")
    assert images.fingerprint == record.data_fingerprint
    model = run.build_model(images.shape)
    with fast_products(record.environment.products == "onednn"):
        history = train(model, images, run.training(), seed=run.seed)
    # Other processors round otherwise, and training amplifies that; seeds differ by more.
    assert history.test_loss == pytest.approx(record.history.test_loss, rel=0.02)
    error = reconstruction_error(model, images.test.images)
    assert error == pytest.approx(record.evaluation.test_mse, rel=0.02)
