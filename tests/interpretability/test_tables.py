"""Analyses side by side: the numbers of each run, and means over seeds."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from kanlib.experiments import load_experiment, measured
from kanlib.interpretability import load_analysis
from kanlib.interpretability.analysis import Pruned
from kanlib.interpretability.comparisons import compare, verdicts
from kanlib.interpretability.study import KEPT
from kanlib.interpretability.tables import ablations, formulas, least_kept, measures, pruning_curves
from kanlib.report.statistics import summarise


def test_a_threshold_lies_on_the_curve():
    curve = [Pruned(kept=k, numbers=n, mse=e) for k, n, e in ((1, 100, 1), (0.5, 50, 2), (0, 0, 4))]
    assert least_kept(curve, 1.0, "kept") == 1
    assert least_kept(curve, 1.5, "kept") == 0.75
    assert least_kept(curve, 3.0, "numbers") == 25
    assert least_kept(curve, 9.0, "numbers") == 0
    assert np.isnan(least_kept(curve, 0.5, "kept"))


def test_a_table_has_a_row_a_run_and_a_number_a_measure(found, runs):
    table: Any = measures(found)
    assert list(table["model"]) == [run.model for run in runs]
    assert list(table["seed"]) == [0, 1] * 4
    assert table["line"][0] == found[0].ablation[""]["line"] / found[0].test_mse
    assert table["information"][0] == pytest.approx(np.mean(found[0].information))
    assert table["gini"].notna().tolist() == [True] * 4 + [False] * 4
    assert table["explained"].notna().tolist() == [True] * 2 + [False] * 6
    assert 0 <= table["cka"].min() and table["cka"].max() <= 1 + 1e-12
    assert table["cka"].tolist()[-2:] == pytest.approx([1, 1])  # PCA has no seed


def test_a_code_is_likened_to_those_of_its_own_model_alone(found):
    alone: Any = measures([found[0], found[2]])  # a KAN and an MLP
    assert alone["cka"].isna().all()
    other = found[1].run.model_copy(update={"bottleneck": 4})
    elsewhere = found[1].model_copy(update={"run": other}).at(found[1].path)
    alone = measures([found[0], elsewhere])
    assert alone["cka"].isna().all()


def test_no_analyses_and_the_same_one_twice_are_refused(found):
    with pytest.raises(ValueError, match="analyses: 0"):
        measures([])
    with pytest.raises(ValueError, match="analyses: 2"):
        measures([found[0], found[0]])


def test_all_measures_have_means_over_seeds(found):
    table: Any = measures(found)
    rows: Any = summarise(table, measured(table))
    assert rows["seeds"].tolist() == [2, 2, 2, 2]
    assert rows["test_mse"][0] == pytest.approx(np.mean([a.test_mse for a in found[:2]]))


def test_ablations_are_means_over_seeds(found):
    rows: Any = ablations(found).set_index(["model", "part"])
    expected = np.mean([a.ablation["decoder"]["line"] for a in found[:2]])
    assert rows.loc[("kan-pure", "decoder"), "line"] == pytest.approx(expected)
    expected = np.mean([a.test_mse for a in found[:2]])
    assert rows["whole"]["kan-pure"].tolist() == pytest.approx([expected] * 3)
    assert list(rows.index.unique("model")) == ["kan-pure", "mlp", "conv"]


def test_formulas_are_means_over_seeds_of_encoder_and_decoder(found):
    rows: Any = formulas(found).set_index(["model", "part"])
    assert list(rows.index) == [("kan-pure", "encoder"), ("kan-pure", "decoder")]
    lines = [analysis.formulas["decoder.0"].line for analysis in found[:2]]
    assert rows.loc[("kan-pure", "decoder"), "line"] == pytest.approx(np.mean(lines))


def test_curves_are_means_over_seeds(found):
    curves: Any = pruning_curves(found)
    assert len(curves) == 3 * len(KEPT)
    errors = [a.pruning["spread"][0].mse for a in found[:2]]
    assert curves["mse"][0] == pytest.approx(np.mean(errors))
    assert curves["mse_sd"][0] == pytest.approx(np.std(errors, ddof=1))


def test_other_code_sizes_and_options_have_rows_of_their_own(found):
    def of(**changes):
        return found[0].model_copy(update={"run": found[0].run.model_copy(update=changes)})

    both = [found[0], of(bottleneck=4), of(hidden=5), of(dataset="mnist")]
    assert len(ablations(both)) == 4 * 3
    assert len(pruning_curves(both)) == 4 * len(KEPT)


def test_models_without_curves_have_tables_without_rows(found):
    pca = found[-2:]
    assert ablations(pca).empty and pruning_curves(pca).empty and formulas(pca).empty
    table: Any = measures(pca)
    assert table["line"].isna().all()


@pytest.mark.skipif(
    not Path("results/interpretability-mnist_measures.csv").exists(), reason="not committed"
)
def test_the_committed_tables_follow_from_the_committed_analyses():
    plan = load_experiment("experiments/interpretability-mnist.yaml")
    found = [load_analysis(run, "results") for run in plan.runs()]
    assert all(a.environment.git_commit and not a.environment.git_dirty for a in found)
    table, compared = measures(found), compare(found, plan.common)
    fresh: dict[str, Any] = {
        "measures": summarise(table, measured(table)),
        "ablation": ablations(found),
        "pruning": pruning_curves(found),
        "comparisons": compared,
        "verdicts": verdicts(compared),
    }
    for name, expected in fresh.items():
        kept: Any = pd.read_csv(f"results/interpretability-mnist_{name}.csv")
        if "difference" in expected:  # a pair that cannot be compared has no numbers
            kept, expected = (rows[rows["difference"].notna()] for rows in (kept, expected))
        columns = expected.select_dtypes("number").columns.intersection(kept.columns)
        assert len(columns) >= 3
        for column in columns:
            numbers = expected[column].to_numpy(float)
            assert kept[column].to_numpy() == pytest.approx(numbers, rel=1e-9, nan_ok=True)
