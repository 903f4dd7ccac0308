"""A run's analysis: what it has, where its model comes from, and what is left alone."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
import torch

from kanlib import PCA
from kanlib.data import load_images
from kanlib.experiments import Run, execute, has_weights, load_record
from kanlib.interpretability import analyses_of, analysis_of, load_analysis, study
from kanlib.interpretability.analysis import analysis_path
from kanlib.interpretability.study import KEPT


@contextmanager
def no_training() -> Iterator[None]:
    def fail(*_, **__):
        raise AssertionError("a model was trained")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim, "AdamW", fail)
        patch.setattr(PCA, "fit", fail)
        yield


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


def test_what_is_measured_is_the_model_of_the_record(found, folder):
    for analysis in found:
        record = load_record(analysis.run.path(folder))
        assert record.evaluation["test_mse"] == analysis.test_mse


def test_a_second_study_reads_the_first(few_digits, found, folder, monkeypatch):
    monkeypatch.setattr(Run, "build_model", None)
    before = found[0].path.read_bytes()
    assert analysis_of(found[0].run, few_digits, folder) == found[0]
    assert found[0].path.read_bytes() == before


def test_a_trained_run_is_kept_with_its_weights(few_digits, runs, tmp_path):
    with no_training(), pytest.raises(AssertionError, match="trained"):
        analysis_of(runs[0], few_digits, tmp_path)
    analysis_of(runs[0], few_digits, tmp_path)
    assert has_weights(load_record(runs[0].path(tmp_path)))


def test_weights_are_used_where_they_are_there(few_digits, found, tmp_path):
    for analysis in found[::2]:
        execute(analysis.run, few_digits).save(tmp_path)
        with no_training():
            again = analysis_of(analysis.run, few_digits, tmp_path)
        assert again.model_dump() == analysis.model_dump()


def test_a_record_is_never_overwritten(few_digits, found, tmp_path):
    run = found[0].run
    record = execute(run, few_digits).save(tmp_path).record
    assert record.weights
    record.path.with_name(record.weights.file).unlink()
    before = {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.*")}
    again = analysis_of(run, few_digits, tmp_path)
    assert again.model_dump() == found[0].model_dump()
    assert {path: path.read_bytes() for path in (tmp_path / "runs").rglob("*.*")} == before


def test_analyses_that_are_there_need_no_data(found, runs, folder, monkeypatch):
    monkeypatch.setattr(study, "load_images", None)
    assert analyses_of(runs, folder) == found


def test_what_is_missing_is_measured_on_data_that_are_loaded_once(tmp_path, monkeypatch):
    loaded = []
    monkeypatch.setattr(study, "load_images", lambda *args: loaded.append(args) or load_images())
    runs = [Run(model="pca", bottleneck=size) for size in (2, 3)]
    first = analyses_of(runs[:1], tmp_path, "somewhere")
    assert analyses_of([*runs, Run(model="pca", bottleneck=4)], tmp_path)[0] == first[0]
    assert loaded == [("digits", "somewhere"), ("digits", None)]


def test_other_images_are_refused(few_digits, tmp_path):
    with pytest.raises(ValueError, match="images='digits'"):
        analysis_of(Run(dataset="mnist"), few_digits, tmp_path)


def test_files_of_other_data_are_not_taken_for_theirs(few_digits, runs, tmp_path):
    other = replace(few_digits, train=few_digits.test)
    execute(runs[6], few_digits).save(tmp_path)
    with pytest.raises(ValueError, match="images='digits'") as of_record:
        analysis_of(runs[6], other, tmp_path)
    assert str(runs[6].path(tmp_path)) in str(of_record.value)
    analysis_of(runs[6], few_digits, tmp_path)
    with pytest.raises(ValueError, match="images='digits'") as of_analysis:
        analysis_of(runs[6], other, tmp_path)
    assert str(analysis_path(runs[6], tmp_path)) in str(of_analysis.value)


def test_analyses_can_be_read_again(found, folder):
    assert [load_analysis(analysis.run, folder) for analysis in found] == found


@pytest.mark.parametrize(
    "parameters",
    [{"model": "kan-conv"}, {"layer_norm": True}, {"model": "mlp", "layer_norm": True}],
    ids=["convolution", "within", "between"],
)
def test_layers_that_are_not_understood_are_refused_before_training(
    few_digits, tmp_path, parameters
):
    with pytest.raises(ValueError, match="cannot be measured"):
        analysis_of(Run(epochs=10**6, **parameters), few_digits, tmp_path)


@pytest.mark.parametrize(
    "parameters",
    [{"basis": "rational"}, {"model": "kan-shared", "functions": 2}],
    ids=lambda parameters: next(iter(parameters)),
)
def test_functions_that_edges_share_are_measured(few_digits, tmp_path, parameters):
    analysis = analysis_of(Run(bottleneck=3, epochs=1, **parameters), few_digits, tmp_path)
    whole = analysis.test_mse
    assert analysis.ablation[""]["line"] != whole and not analysis.formulas
    assert [curve[0].mse for curve in analysis.pruning.values()] == [whole, whole]
