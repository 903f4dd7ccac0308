"""Analyses: made, kept, read again, compared, judged and drawn."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_array_equal

from kanlib import KANLinear
from kanlib.experiments import Run, load_arrays, load_experiment
from kanlib.interpretability import Analysis, analysis_path, load_analysis, save_analysis
from kanlib.interpretability import figures as interpretability_figures
from kanlib.interpretability.analysis import Pruned
from kanlib.interpretability.study import KEPT, study
from kanlib.interpretability.tables import (
    ablations,
    answer,
    judge,
    least_kept,
    measures,
    pruning_curves,
    summary,
    verdicts,
)
from kanlib.report import figures
from kanlib.training import train

MODELS: list[dict[str, Any]] = [
    {"model": "kan-pure"}, {"model": "mlp", "match_parameters": True}, {"model": "conv"},
    {"model": "pca"},
]  # fmt: skip
RUNS = [
    Run(bottleneck=3, epochs=1, learning_rate=0.01, seed=seed, **model)
    for model in MODELS for seed in (0, 1)
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(few_digits, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    for run in RUNS:
        study(run, few_digits, results)
    return results


@pytest.fixture(scope="module")
def found(folder) -> list[Analysis]:
    return [load_analysis(run, folder) for run in RUNS]


@pytest.fixture(scope="module")
def table(found, folder) -> pd.DataFrame:
    return measures(found, folder)


def test_an_analysis_has_what_its_model_has(found):
    kan, mlp, conv, pca = found[::2]
    assert set(kan.ablation) == {"", "encoder", "decoder"} and list(kan.pruning) == ["spread"]
    assert set(kan.formulas) == {"encoder.1", "decoder.0"} == set(kan.sparsity)
    assert list(mlp.pruning) == ["spread", "size"] and not mlp.formulas
    assert set(conv.ablation[""]) == {"constant", "line", "quadratic", "cubic"}
    assert not conv.pruning and not conv.sparsity
    assert not pca.ablation and not pca.pruning and len(pca.information) == 3
    assert kan.environment.git_commit


def test_a_curve_starts_with_the_whole_model_and_ends_with_none(found):
    for analysis in (found[0], found[2]):
        for curve in analysis.pruning.values():
            assert [point.kept for point in curve] == list(KEPT)
            assert curve[0].mse == pytest.approx(analysis.test_mse, rel=1e-5)
            assert curve[-1].numbers == 0
            assert curve[-1].mse == pytest.approx(analysis.ablation[""]["constant"], rel=0.05)
    assert found[0].pruning["spread"][0].numbers == 2 * 64 * 3 * 9


def test_a_second_study_reads_the_first(few_digits, folder, monkeypatch):
    monkeypatch.setattr(Run, "build_model", None)
    before = analysis_path(RUNS[0], folder).read_bytes()
    assert study(RUNS[0], few_digits, folder) == load_analysis(RUNS[0], folder)
    assert analysis_path(RUNS[0], folder).read_bytes() == before


def test_the_same_run_gives_the_same_analysis(few_digits, found, tmp_path):
    assert study(RUNS[0], few_digits, tmp_path) == found[0]


def test_an_analysis_and_its_arrays_survive_their_files(found, tmp_path):
    path = save_analysis(found[0], tmp_path, {"codes": np.eye(3)})
    assert path == tmp_path / "interpretability/digits/kan-pure" / RUNS[0].path("").name
    assert load_analysis(RUNS[0], tmp_path) == found[0]
    assert_array_equal(load_arrays(path)["codes"], np.eye(3))


def test_a_damaged_or_strange_file_is_refused(found, tmp_path):
    path = save_analysis(found[0], tmp_path, {})
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match="is not a valid analysis"):
        load_analysis(RUNS[0], tmp_path)
    text = json.loads(found[1].model_dump_json())
    path.write_text(json.dumps(text))
    with pytest.raises(ValueError, match="is the analysis of another run"):
        load_analysis(RUNS[0], tmp_path)
    with pytest.raises(FileNotFoundError):
        load_analysis(RUNS[2], tmp_path)


def test_other_images_are_refused(few_digits, tmp_path):
    with pytest.raises(ValueError, match="images='digits' must be the data set of the run"):
        study(Run(dataset="mnist"), few_digits, tmp_path)


def test_an_analysis_of_other_data_is_not_taken_for_theirs(few_digits, folder):
    other = replace(few_digits, fingerprint="0" * 64)
    with pytest.raises(ValueError, match="is of other data than images; delete it"):
        study(RUNS[0], other, folder)


def test_a_threshold_lies_on_the_curve():
    curve = [Pruned(kept=k, numbers=n, mse=e) for k, n, e in ((1, 100, 1), (0.5, 50, 2), (0, 0, 4))]
    assert least_kept(curve, 1.0, "kept") == 1
    assert least_kept(curve, 1.5, "kept") == 0.75
    assert least_kept(curve, 3.0, "numbers") == 25
    assert least_kept(curve, 9.0, "numbers") == 0
    assert np.isnan(least_kept(curve, 0.5, "kept"))


def test_a_table_has_a_row_a_run_and_a_number_a_measure(table, found):
    assert list(table["label"].unique()) == ["KAN layers alone", "MLP, matched", "CNN", "PCA"]
    assert table["line"][0] == found[0].ablation[""]["line"] / found[0].test_mse
    assert table["information"][0] == pytest.approx(np.mean(found[0].information))
    assert table["gini"].notna().tolist() == [True] * 4 + [False] * 4
    assert table["explained"].notna().tolist() == [True] * 2 + [False] * 6
    assert 0 <= table["cka"].min() and table["cka"].max() <= 1 + 1e-12
    assert table["cka"].tolist()[-2:] == pytest.approx([1, 1])  # PCA has no seed


def test_a_summary_has_means_and_deviations(table):
    rows = summary(table)
    both = table["test_mse"][:2]
    assert rows.loc["KAN layers alone", "test_mse"] == pytest.approx(both.mean())
    assert rows.loc["KAN layers alone", "test_mse_sd"] == pytest.approx(both.std())
    assert rows["seeds"].tolist() == [2, 2, 2, 2]
    names = [name for name in table if name not in ("label", "bottleneck", "dataset", "seed")]
    assert list(rows) == ["seeds", *(f"{name}{end}" for name in names for end in ("", "_sd"))]
    assert rows.index.name == "model"


def test_analyses_side_by_side_are_of_one_data_set_and_size(found, tmp_path):
    def of(**changes: Any) -> Analysis:
        return found[0].model_copy(update={"run": RUNS[0].model_copy(update=changes)})

    with pytest.raises(ValueError, match=r"\('digits', 3\), \('digits', 4\).*; must be of one"):
        measures([found[0], of(bottleneck=4)], tmp_path)
    with pytest.raises(ValueError, match=r"\('digits', 3\), \('mnist', 3\).*; must be of one"):
        measures([found[0], of(dataset="mnist")], tmp_path)
    with pytest.raises(ValueError, match=r"analyses are of \[\]"):
        measures([], tmp_path)


def test_ablations_and_curves_are_means_over_seeds(found):
    rows = ablations(found)
    expected = np.mean([a.ablation["decoder"]["line"] for a in found[:2]])
    assert rows.loc[("KAN layers alone", "decoder"), "line"] == pytest.approx(expected)
    curves = pruning_curves(found)
    assert len(curves) == 3 * len(KEPT)
    first = curves["mse"].tolist()[0]
    assert first == pytest.approx(np.mean([a.test_mse for a in found[:2]]), rel=1e-5)


def test_a_kan_is_judged_by_the_interval_of_the_difference(table, found):
    rows = table.copy()
    rows["probe"] = [0.9, 0.91, 0.5, 0.51, 0.9, 0.91, 0.7, 0.8]
    judged = judge(rows, found, ["KAN layers alone"], ["MLP, matched", "CNN"])
    by = judged.set_index(["rival", "measure"])
    assert by.loc[("MLP, matched", "probe"), "verdict"] == "better"
    assert by.loc[("CNN", "probe"), "verdict"] == "undecided"
    assert by.loc[("MLP, matched", "probe"), "difference"] == pytest.approx(0.4)
    assert ("CNN", "weights") not in by.index and ("MLP, matched", "weights") in by.index


def test_smaller_is_better_where_it_is(table, found):
    rows = table.copy()
    rows["test_mse"] = [0.1, 0.11, 0.2, 0.21, 0.1, 0.1, 0.1, 0.1]
    judged = judge(rows, found, ["KAN layers alone"], ["MLP, matched"]).set_index("measure")
    assert judged.loc["test_mse", "verdict"] == "better"
    with pytest.raises(ValueError, match=r"labels \['MPL'\] must be among \['CNN'"):
        judge(rows, found, ["KAN layers alone"], ["MPL"])


def test_an_answer_is_yes_no_or_in_part():
    def words(*given: str) -> str:
        return answer(pd.DataFrame({"verdict": given}))

    assert words("better", "undecided") == "yes"
    assert words("undecided", "worse") == words("undecided") == "no"
    assert words("better", "worse") == "in part"
    rows = [("error", "worse"), ("edges", "better"), ("edges", "undecided")]
    judged = pd.DataFrame(rows, columns=["about", "verdict"]).assign(kan="k", rival="r")
    (row,) = verdicts(judged).to_dict("records")
    assert row == {
        "kan": "k", "rival": "r", "error": "no", "edges": "yes", "code": "not comparable",
        "interpretability": "yes", "better": 1, "worse": 0, "undecided": 1,
    }  # fmt: skip


def test_figures_show_what_they_are_given(found, folder, table, tmp_path):
    arrays = load_arrays(analysis_path(RUNS[0], folder))
    figure: Any = interpretability_figures.edges_of_a_pixel(arrays, "(1, 2)")
    assert len(figure.axes) == 6
    drawn = figure.axes[4].lines[0]
    assert_array_equal(drawn.get_xdata(), arrays["decoder_points"][1])
    values = arrays["decoder_values"][1]
    assert drawn.get_ydata() == pytest.approx(values - values.mean(), abs=1e-6)
    fields: Any = interpretability_figures.receptive_fields(arrays["fields"], arrays["fields_kept"])
    shown = np.asarray(fields.axes[3].images[0].get_array())
    assert_array_equal(shown, arrays["fields"][0, 0] * arrays["fields_kept"][0, 0])
    curves: Any = interpretability_figures.pruning(pruning_curves(found))
    names = [text.get_text() for text in curves.legends[0].get_texts()]
    assert len(names) == 3 and names[2] == "MLP, matched, by size of weight"
    bars: Any = interpretability_figures.ablation(ablations(found))
    assert bars.axes[0].patches[0].get_height() == pytest.approx(table["test_mse"][:2].mean())
    both: Any = interpretability_figures.formulas(summary(table))
    assert both.axes[0].patches[0].get_height() == pytest.approx(table["line_explained"][:2].mean())
    assert figures.save(figure, tmp_path, "edges")[0].stat().st_size > 0
    with pytest.raises(ValueError, match=r"must be \(O, C, H, W\), both"):
        interpretability_figures.receptive_fields(arrays["fields"], arrays["fields_kept"][:1])


def test_pictured_edges_are_those_of_the_layer(few_digits, folder):
    arrays = load_arrays(analysis_path(RUNS[0], folder))
    model = RUNS[0].build_model(few_digits.shape)
    train(model, few_digits, RUNS[0].training(), seed=0)
    layer, pixel = model.get_submodule("encoder.1"), int(arrays["pixel"])
    points = arrays["encoder_points"][0]
    x = np.zeros((len(points), 64), dtype=np.float32)
    x[:, pixel] = points
    assert isinstance(layer, KANLinear)
    edges = layer.edge_functions(torch.from_numpy(x))[:, 2, pixel]
    assert edges.detach().numpy() == pytest.approx(arrays["encoder_values"][2], abs=1e-6)


@pytest.mark.skipif(
    not Path("results/interpretability-mnist_measures.csv").exists(), reason="not committed"
)
def test_the_committed_tables_follow_from_the_committed_analyses():
    plan = load_experiment("experiments/interpretability-mnist.yaml")
    found = [load_analysis(run, "results") for run in plan.runs()]
    assert all(a.environment.git_commit and not a.environment.git_dirty for a in found)
    table = measures(found, "results")
    labels = list(table["label"].unique())
    kans, rivals = labels[:2], [name for name in labels if "MLP" in name or name == "CNN"]
    judged = judge(table, found, kans, rivals)
    fresh = {
        "measures": summary(table), "ablation": ablations(found), "pruning": pruning_curves(found),
        "judgements": judged, "verdicts": verdicts(judged),
    }  # fmt: skip
    for name, expected in fresh.items():
        kept = pd.read_csv(f"results/interpretability-mnist_{name}.csv")
        for column in expected:
            if expected[column].dtype == float:
                numbers = expected[column].to_numpy()
                assert kept[column].to_numpy() == pytest.approx(numbers, rel=1e-9, nan_ok=True)
            else:
                assert list(kept[column]) == list(expected[column])
