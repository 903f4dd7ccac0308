"""The committed numbers: tables follow from their records, and records from their runs."""

import functools
import os
import subprocess
from ast import literal_eval
from io import StringIO
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from papermill import inspect_notebook

import kanlib
from kanlib.data import load_images
from kanlib.experiments import (
    Record,
    Run,
    execute,
    load_arrays,
    load_experiment,
    load_record,
    load_records,
    measured,
    step_logs,
    to_frame,
)
from kanlib.interpretability import comparisons, load_analysis
from kanlib.interpretability import tables as analyses
from kanlib.report import claims, columns, sensitivity, stability, statistics, tables
from kanlib.report.labels import labelled
from kanlib.training import reconstruction_error
from kanlib.training.evaluation import reconstruction_loss

EXPERIMENTS = {path.stem: load_experiment(path) for path in Path("experiments").glob("*.yaml")}
# The records of digits are no part of the history.
KEPT = {stem: plan for stem, plan in sorted(EXPERIMENTS.items()) if plan.dataset != "digits"}
# Experiments that have been run, and whose tables are those of notebook 03.
USUAL = [
    stem
    for stem, plan in KEPT.items()
    if not plan.notebook and Path(f"results/{stem}.csv").exists()
]
needs_mnist = pytest.mark.skipif(
    not Path(os.environ.get("KANLIB_DATA", "nowhere"), "MNIST").exists(),
    reason="KANLIB_DATA has no MNIST/",
)


@functools.cache
def records_of(*stems: str) -> list[Record]:
    """The records of experiments, read once for all tests."""
    runs = dict.fromkeys(run for stem in stems for run in KEPT[stem].runs())
    return load_records(runs, "results")


def frame_of(*stems: str) -> pd.DataFrame:
    return to_frame(records_of(*stems))


def assert_kept(stem: str, fresh: pd.DataFrame) -> None:
    """results/<stem>.csv is what ``fresh`` would be as a file."""
    kept = pd.read_csv(f"results/{stem}.csv")
    written = pd.read_csv(StringIO(tables.for_programs(fresh).to_csv()))
    # Sums may be added in another order elsewhere.
    pd.testing.assert_frame_equal(kept, written, check_dtype=False, rtol=1e-6, atol=1e-12)


def test_the_paper_experiment_is_committed():
    assert "mnist" in USUAL


@pytest.mark.parametrize("stem", USUAL)
def test_the_tables_of_an_experiment_follow_from_its_records(stem):
    frame = frame_of(stem)
    summary = labelled(statistics.summarise(frame, measured(frame)), KEPT[stem].common)
    assert_kept(stem, summary.dropna(axis=1, how="all").set_index("label"))
    expected = tables.by_bottleneck(summary, "test_mse")
    kept = pd.read_csv(f"results/{stem}_mse.csv", index_col=0)
    kept = kept.T if len(expected.columns) > 8 else kept
    assert list(kept.index)[: len(expected)] == list(expected.index)  # the published may follow
    numbers = kept.iloc[: len(expected)].to_numpy()
    assert numbers == pytest.approx(expected.to_numpy(), rel=1e-6, nan_ok=True)


def test_the_verdicts_follow_from_the_records():
    stems = literal_eval(inspect_notebook("notebooks/06_verdicts.ipynb")["names"]["default"])
    times = pd.read_csv("results/training_steps.csv")
    parts = [claims.compare(frame_of(*stems)), claims.compare(times)]
    compared = pd.concat(parts, ignore_index=True)
    assert_kept("verdicts", compared.set_index("claim"))
    assert_kept("claims", claims.summarise(compared).set_index("claim"))
    assert_kept("scoreboard", claims.scoreboard(compared))


def test_every_trained_model_that_is_judged_was_timed():
    stems = literal_eval(inspect_notebook("notebooks/06_verdicts.ipynb")["names"]["default"])
    timed = columns.configurations(pd.read_csv("results/training_steps.csv"))
    judged = columns.configurations(frame_of(*stems))
    judged = dict.fromkeys(run for run in judged if run.model not in ("pca", "linear"))
    assert dict.fromkeys(timed) == judged


@pytest.mark.parametrize("stem", ["worth-mnist", "worth-cifar10"])
def test_what_models_are_worth_follows_from_records_and_costs(stem):
    costs = pd.read_csv(f"results/{stem}_costs.csv").drop(columns="label")
    frame = frame_of(stem)
    summary = statistics.summarise(frame, ["test_mse", "knn_accuracy"])
    summary["knn_error"] = 1 - summary["knn_accuracy"]
    table = labelled(columns.join(summary, costs), KEPT[stem].common)
    assert_kept(stem, table.set_index("label"))
    recorded = statistics.summarise(frame, ["parameters"])["parameters"]
    assert table["parameters"].tolist() == recorded.tolist()


def test_effects_follow_from_the_records():
    stem = "sensitivity-mnist"
    common: Any = {name: value for name, value in KEPT[stem].common.items() if name != "seed"}
    base, records = Run(**common), records_of(stem)
    assert_kept(stem, sensitivity.effects(records, base).set_index("setting"))
    coverage = sensitivity.grid_coverage(records, base)
    assert_kept(f"{stem}_coverage", coverage.set_index("setting"))
    if deep := [record for record in records if record.run.hidden == 32]:
        held = base.model_copy(update={"hidden": 32})
        assert_kept(f"{stem}_deep", sensitivity.effects(deep, held).set_index("setting"))


def test_stability_follows_from_the_records():
    records = records_of("stability-mnist")
    frame = to_frame(records).join(stability.dead_units(records))
    summary = stability.summarise(frame, step_logs(records))
    table = labelled(summary, KEPT["stability-mnist"].common)
    assert_kept("stability-mnist", table.set_index("label"))


def test_the_table_of_series_follows_from_the_records():
    metrics = ["test_mse", "knn_accuracy", "parameters"]
    parts = [
        labelled(statistics.summarise(frame_of(stem), metrics), KEPT[stem].common)
        for stem in ("series-italy", "series-gunpoint")
    ]
    table = pd.concat(parts).drop(columns="parameters_sd").astype({"parameters": int})
    assert_kept("series", table.set_index("dataset"))


def test_the_tables_of_interpretability_follow_from_the_analyses():
    plan = KEPT["interpretability-mnist"]
    found = [load_analysis(run, "results") for run in plan.runs()]
    assert all(a.environment.git_commit and not a.environment.git_dirty for a in found)
    measures = analyses.measures(found)
    compared = comparisons.compare(found, plan.common)
    for name, index, table in (
        ("measures", "label", statistics.summarise(measures, measured(measures))),
        ("ablation", "label", analyses.ablations(found)),
        ("pruning", "label", analyses.pruning_curves(found)),
        ("comparisons", "kan", compared),
        ("verdicts", "kan", comparisons.verdicts(compared)),
    ):
        named = labelled(table, plan.common) if index == "label" else table
        assert_kept(f"interpretability-mnist_{name}", named.set_index(index))


@functools.cache
def tracked(ending: str) -> list[Path]:
    """The files of runs that git tracks."""
    command = ["git", "ls-files", "-z", f"results/runs/*{ending}"]
    try:
        listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no checkout here")
    return [Path(name) for name in listed.split("\0") if name]


def test_every_committed_record_is_valid_and_lies_where_its_run_says():
    assert len(tracked(".json")) >= 1_700  # none was ever taken out
    arrays = set(tracked(".npz"))
    for path in tracked(".json"):
        record = load_record(path)
        assert record.run.path("results") == path
        assert record.environment.git_commit and not record.environment.git_dirty
        assert path.with_suffix(".npz") in arrays
        if record.schema_version > 1:  # the images lie in a file of their own
            assert "originals" in load_arrays(record)


def test_every_committed_record_names_a_commit_of_this_history():
    history = subprocess.run(["git", "rev-list", "HEAD"], capture_output=True, text=True)
    if history.returncode or Path(".git/shallow").exists():
        pytest.skip("no history here")
    named = {load_record(path).environment.git_commit for path in tracked(".json")}
    assert named <= set(history.stdout.split())


def test_committed_weights_are_those_that_their_records_name():
    for path in tracked(".safetensors"):
        record = load_record(path.with_suffix(".json"))
        assert record.weights is not None and record.weights.file == path.name
        kanlib.load(record)  # a ValueError, if the file's hash is another


@needs_mnist
def test_a_model_of_committed_weights_has_the_test_error_of_its_record():
    found = [load_record(path.with_suffix(".json")) for path in tracked(".safetensors")]
    found = [record for record in found if record.run.dataset == "mnist"]
    if not found:
        pytest.skip("no weights are committed")
    images = load_images("mnist")
    for record in found:
        assert images.fingerprint == record.data_fingerprint
        error = reconstruction_error(kanlib.load(record.path), images.test.images)
        assert error == pytest.approx(record.evaluation["test_mse"], rel=1e-4)


@needs_mnist
def test_models_start_as_they_did_when_their_records_were_made():
    images = load_images("mnist")
    made = {r.run.model: r for r in records_of("stability-mnist", "conv-mnist", "worth-mnist")}
    for record in made.values():
        if record.history.train_loss:  # PCA is not trained
            shuffle = torch.Generator().manual_seed(record.run.seed)
            batch = torch.randperm(len(images.train), generator=shuffle)[
                : record.training.batch_size
            ]
            loss = reconstruction_loss(
                record.run.build_model(images.shape), images.train.images[batch]
            )
            assert loss.item() == pytest.approx(load_arrays(record)["step_loss"][0], rel=1e-4)
    assert {"kan", "kan-pure", "conv", "kan-conv", "mlp", "spline-mlp"} <= made.keys()


@pytest.mark.slow
@needs_mnist
def test_a_committed_run_trained_again_gives_its_record():
    record = load_record(Run(dataset="mnist", model="mlp", bottleneck=9).path("results"))
    images = load_images("mnist")
    assert images.fingerprint == record.data_fingerprint
    again = execute(record.run, images, fast_cpu=record.environment.products == "onednn").record
    # Other processors round otherwise, and training amplifies that; seeds differ by more.
    assert again.history.test_loss == pytest.approx(record.history.test_loss, rel=0.02)
    error = pytest.approx(record.evaluation["test_mse"], rel=0.02)
    assert again.evaluation["test_mse"] == error
