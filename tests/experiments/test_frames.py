"""Records as frames: what a row holds, and what is absent."""

import numpy as np
import pytest
from records import PICTURES, SCORE, make_record

from kanlib.experiments import (
    SETTINGS,
    Run,
    histories,
    load_records,
    measured,
    save_record,
    step_logs,
    to_frame,
)
from kanlib.training import History

COSTS = ["seconds", "peak_mib"]


def test_a_row_holds_the_parameters_the_metrics_and_the_costs_of_a_run():
    runs = [Run(bottleneck=9, seed=seed) for seed in (2, 0)]
    table = to_frame([make_record(run) for run in runs])
    assert table["seed"].tolist() == [2, 0]
    assert list(table)[: len(Run.model_fields)] == list(Run.model_fields)
    expected = runs[0].model_dump() | {
        "test_mse": 0.125,
        "knn_accuracy": 0.75,
        "knn_f1": 0.7,
        "leaky_knn_code_accuracy": 0.5,
        "leaky_knn_code_f1": 0.4,
        "leaky_knn_reconstruction_accuracy": 0.75,
        "leaky_knn_reconstruction_f1": 0.7,
        "parameters": 1234,
        "seconds": 1.5,
        "peak_mib": 3.0,
    }
    assert table.iloc[0].to_dict() == expected


def test_a_metric_that_a_record_lacks_is_nan_in_its_row():
    older = make_record(Run(seed=0), evaluation={"test_mse": 0.5})
    newer = make_record(Run(seed=1), evaluation={"sharpness": 0.25, "test_mse": 0.5, "knn": SCORE})
    for records in ([older, newer], [newer, older]):
        table = to_frame(records).sort_values("seed")
        assert table["test_mse"].tolist() == [0.5, 0.5]
        assert table["sharpness"].isna().tolist() == [True, False]
        assert table["knn_accuracy"].isna().tolist() == [True, False]
    assert "sharpness" not in to_frame([older])
    assert list(to_frame([])) == [*Run.model_fields, *COSTS]


@pytest.mark.parametrize("name", ["seed", "seconds", "knn_f1"])
def test_a_metric_with_the_name_of_another_column_is_refused(name):
    with pytest.raises(ValueError, match=f"metric='{name}'"):
        to_frame([make_record(Run(), evaluation={"knn": SCORE, name: 7})])


def test_what_was_measured_is_told_from_what_was_asked_for():
    table = to_frame([make_record(Run(), evaluation={"test_mse": 0.5, "knn": SCORE})])
    assert measured(table) == ["test_mse", "knn_accuracy", "knn_f1", *COSTS]
    assert set(SETTINGS) == Run.model_fields.keys() - {"dataset", "bottleneck", "seed"}


def test_histories_have_a_row_an_epoch():
    pca = make_record(Run(model="pca"), history=History(seconds=1.0))
    table = histories([make_record(Run(seed=2)), pca, make_record(Run(seed=0))])
    assert table[["seed", "epoch", "train_loss", "test_loss"]].values.tolist() == [
        [2, 1, 0.3, 0.4],
        [2, 2, 0.2, 0.25],
        [0, 1, 0.3, 0.4],
        [0, 2, 0.2, 0.25],
    ]
    assert set(table["model"]) == {"kan"}
    assert list(histories([pca])) == list(table)


@pytest.fixture
def logged(tmp_path):
    """Records of two runs of two epochs with a log of their steps, and of one of PCA."""

    def save(run: Run, every: int, entries: int, **changes):
        steps = np.arange(entries, dtype=np.float32)
        arrays = {"step_loss": 1 / (1 + steps), "gradient_norm": steps} if entries else {}
        save_record(make_record(run, step_log_every=every, **changes), tmp_path, arrays)

    runs = [Run(seed=0), Run(seed=1), Run(model="pca")]
    save(runs[0], 10, 4)
    save(runs[1], 5, 8)
    save(runs[2], 10, 0, history=History())
    return load_records(runs, tmp_path)


def test_step_logs_have_a_row_an_entry(logged):
    table = step_logs(logged)
    first, second = table[table["seed"] == 0], table[table["seed"] == 1]
    assert first["step"].tolist() == [1, 11, 21, 31]
    assert second["step"].tolist() == [1, 6, 11, 16, 21, 26, 31, 36]
    assert first["epoch"].tolist() == [0, 0.5, 1, 1.5]  # of two
    assert second["loss"].tolist()[3] == pytest.approx(1 / 4)
    assert second["gradient_norm"].tolist()[3] == 3
    assert set(table["model"]) == {"kan"}
    assert list(step_logs(logged[2:])) == list(table)  # PCA has no steps


def test_a_trained_run_without_a_log_of_its_steps_is_named(tmp_path):
    pictures = {"originals": PICTURES, "reconstructions": PICTURES}
    record = save_record(make_record(Run(seed=6)), tmp_path, pictures)
    with pytest.raises(ValueError, match="seed=6"):
        step_logs([record])
