"""The committed numbers: tables agree with their records, and records with their runs."""

import os
import subprocess
from ast import literal_eval
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from papermill import inspect_notebook

from kanlib.data import load_images
from kanlib.experiments import Run, load_experiment, load_record, load_records
from kanlib.report import claims, sensitivity, stability
from kanlib.report.statistics import summarise
from kanlib.report.tables import by_bottleneck
from kanlib.training import reconstruction_error, train
from kanlib.training.cpu import fast_products

WITH_TABLES = sorted(
    path for path in Path("experiments").glob("*.yaml") if Path(f"results/{path.stem}.csv").exists()
    and path.stem != "digits"
)  # fmt: skip
COMMITTED = [path for path in WITH_TABLES if load_experiment(path).notebook is None]
STUDIES = [path for path in WITH_TABLES if path not in COMMITTED]
RECORDS = [p for p in Path("results/runs").rglob("*.json") if "digits" not in p.parts]
JUDGED = literal_eval(inspect_notebook("notebooks/06_verdicts.ipynb")["names"]["default"])


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


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_a_table_by_size_is_the_one_it_is_made_of(path):
    whole = pd.read_csv(f"results/{path.stem}.csv")
    accuracy = by_bottleneck(whole, "knn_accuracy")
    leak = by_bottleneck(whole, "leaky_knn_code_accuracy") - accuracy
    for name, expected in (
        ("mse", by_bottleneck(whole, "test_mse")), ("accuracy", accuracy), ("leak", leak),
    ):  # fmt: skip
        table = pd.read_csv(f"results/{path.stem}_{name}.csv", index_col=0)
        table = table if list(expected.index) == list(table.index)[: len(expected)] else table.T
        kept = table.loc[expected.index]  # the published row is below them
        assert kept.to_numpy() == pytest.approx(expected.to_numpy(), rel=1e-12, nan_ok=True)


def study_table(plan, records):
    """What the notebook of a study computes from its records, as its table has it."""
    match Path(plan.notebook).stem:
        case "07_worth":
            table = summarise(records, ["test_mse", "knn_accuracy"]).set_index("label")
            return table.assign(knn_error=1 - table["knn_accuracy"]).rename_axis("model")
        case "08_sensitivity":
            base = Run(**{name: value for name, value in plan.common.items() if name != "seed"})
            return sensitivity.effects(records, plan.runs(), base).set_index("setting")
        case "11_stability":
            return stability.summarise(records, stability.load_steps(records))
    raise NotImplementedError(plan.notebook)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_table_of_a_study_follows_from_the_committed_records(path):
    plan = load_experiment(path)
    fresh = study_table(plan, load_records(plan.runs(), "results"))
    table = pd.read_csv(f"results/{path.stem}.csv", index_col=0)
    assert list(table.index) == list(fresh.index)
    compared = table.columns.intersection(fresh.select_dtypes("number").columns)
    assert {"test_mse", "seeds"} <= set(compared)
    for name in compared:
        expected = fresh[name].to_numpy(float)
        assert table[name].to_numpy() == pytest.approx(expected, rel=1e-6, nan_ok=True), name
    words = table.columns.intersection(fresh.select_dtypes(exclude="number").columns)
    assert table[words].astype(str).equals(fresh[words].astype(str))


def test_the_committed_verdicts_follow_from_the_committed_records():
    table = pd.read_csv("results/verdicts.csv")
    plans = [load_experiment(f"experiments/{name}.yaml") for name in JUDGED]
    records = load_records([run for plan in plans for run in plan.runs()], "results")
    rounds = pd.read_csv("results/training_steps.csv").rename(columns={"round": "seed"})
    fresh = pd.concat([claims.compare(part) for part in (records, rounds)])
    keys = ["claim", "protocol", "metric", "dataset", "bottleneck", "kan", "rival"]
    both = table.merge(fresh, on=keys, suffixes=("", "_fresh"))
    assert len(both) == len(fresh) == len(table) > 0
    for name in ("kan_value", "difference", "low", "high", "bootstrap_low", "bootstrap_high"):
        assert both[name].to_numpy() == pytest.approx(both[f"{name}_fresh"].to_numpy(), rel=1e-9)
    assert both["verdict"].tolist() == both["verdict_fresh"].tolist()


def test_the_committed_claims_follow_from_the_committed_verdicts():
    fresh = claims.summarise(pd.read_csv("results/verdicts.csv"))
    pd.testing.assert_frame_equal(pd.read_csv("results/claims.csv"), fresh, check_dtype=False)


def test_the_committed_series_follow_from_the_committed_records():
    table = pd.read_csv("results/series.csv")
    for name in ("series-italy", "series-gunpoint"):
        plan = load_experiment(f"experiments/{name}.yaml")
        fresh = summarise(load_records(plan.runs(), "results"), ["test_mse", "knn_accuracy"])
        rows: Any = table[table["dataset"] == plan.dataset]
        assert rows["label"].tolist() == fresh["label"].tolist()
        for metric in ("test_mse", "test_mse_sd", "knn_accuracy"):
            expected = fresh[metric].to_numpy()
            assert rows[metric].to_numpy() == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_every_committed_record_is_valid_and_lies_where_its_run_says():
    assert RECORDS
    for path in RECORDS:
        record = load_record(path)
        assert record.run.path("results") == path
        assert record.environment.git_commit and not record.environment.git_dirty
        assert path.with_suffix(".npz").exists()


def test_every_committed_record_names_a_commit_of_this_history():
    history = subprocess.run(["git", "rev-list", "HEAD"], capture_output=True, text=True)
    if history.returncode or Path(".git/shallow").exists():
        pytest.skip("no history here")
    named = {load_record(path).environment.git_commit for path in RECORDS}
    assert named <= set(history.stdout.split())


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
