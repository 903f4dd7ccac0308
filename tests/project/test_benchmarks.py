"""benchmarks/: competitors compute one function; the machinery runs. No time is asserted."""

import math

import pandas as pd
import pytest
import torch

from benchmarks import plans, report
from benchmarks.__main__ import main
from benchmarks.cases import Case, both
from benchmarks.competitors import MODELS, recursion_of, sparse_of
from benchmarks.measure import WorkerProcess, time_cases
from benchmarks.targets import targets
from benchmarks.work import UNITS, WORK
from kanlib import BSpline, KANLinear


def output_and_gradients(layer, x):
    x = x.clone().requires_grad_()
    y = layer(x)
    weight = torch.linspace(-1, 1, y.numel()).view_as(y)
    y.backward(weight)
    return y.detach(), x.grad


@pytest.mark.parametrize(("grid_size", "order"), [(5, 3), (3, 1), (8, 2), (4, 4), (20, 5)])
def test_recursion_kept_scale_and_sparse_compute_the_folded_layer(grid_size, order):
    torch.manual_seed(0)
    basis = BSpline(grid_size, order)
    kept = KANLinear(7, 5, basis=basis, separate_scale=True, init_noise=3.0)
    assert kept.spline_scale is not None
    folded = KANLinear(7, 5, basis=basis)
    with torch.no_grad():
        folded.weight.copy_(kept.weight)
        folded.weight[:, 1:] *= kept.spline_scale.unsqueeze(1)
    x = torch.randn(40, 7) * 1.2  # inside the grid, in its extension and beyond
    x[0], x[1] = 3.0, -3.0
    expected = output_and_gradients(folded, x)
    for other in (kept, recursion_of(kept), recursion_of(folded), sparse_of(folded)):
        for value, wanted in zip(output_and_gradients(other, x), expected, strict=True):
            torch.testing.assert_close(value, wanted, rtol=1e-5, atol=1e-5)


def test_sparse_gives_the_gradient_of_the_coefficients():
    torch.manual_seed(0)
    folded = KANLinear(6, 4)
    sparse = sparse_of(folded)
    x = torch.randn(30, 6)
    output_and_gradients(folded, x)
    output_and_gradients(sparse, x)
    assert sparse.coefficients.grad is not None and folded.weight.grad is not None
    torch.testing.assert_close(
        sparse.coefficients.grad.permute(2, 1, 0), folded.weight.grad[:, 1:], rtol=1e-5, atol=1e-5
    )


def test_the_authors_autoencoder_is_the_papers_with_other_layers():
    torch.manual_seed(0)
    ours = MODELS["KANLinear, scale kept"]((1, 4, 4), 3)
    torch.manual_seed(0)
    theirs = MODELS["authors"]((1, 4, 4), 3)
    x = torch.rand(8, 1, 4, 4) * 2 - 1
    torch.testing.assert_close(theirs(x), ours(x), rtol=1e-5, atol=1e-5)
    assert not any(isinstance(layer, KANLinear) for layer in theirs.modules())


def test_the_limit_of_a_model_updates_as_many_numbers():
    limit, ours = (MODELS[name]((1, 4, 4), 3) for name in ("dense limit", "KANLinear"))
    assert sum(p.numel() for p in limit.parameters()) == sum(p.numel() for p in ours.parameters())
    assert limit(torch.rand(2, 1, 4, 4)).shape == (2, 1, 4, 4)


def test_every_planned_case_can_be_built_and_has_a_unit():
    for name, plan in plans.PLANS.items():
        for case in plans.quick(plan()):
            assert case.what in UNITS
            if case.what != "epoch":
                for competitor in case.competitors:
                    if competitor.name != "pykan":
                        WORK[case.what](case, competitor, "cpu", lambda function: function)()
        assert len(plan()) == len(set(plan())), name


def test_rounds_of_fresh_processes_become_rows():
    case = Case("inner layer", 16, 4, 8, both("KANLinear"))
    plain, fast = time_cases([case], 3, "cpu", print)
    assert plain["settings"] == "plain" and fast["settings"].startswith("malloc, ")
    for row in (plain, fast):
        assert (row["competitor"], row["rounds"], row["unit"]) == ("KANLinear", 3, "ms")
        assert 0 < row["p10"] <= row["median"] <= row["p90"]


def test_a_workers_failure_is_reported():
    worker = WorkerProcess(fast=False)
    try:
        with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
            worker.ask(
                "prepare",
                case=Case("inner layer", 4, 2, 8, ()).to_json(),
                name="nobody",
                device="cpu",
                round_seconds=0.01,
            )
    finally:
        worker.close()


def test_the_command_line_writes_results_and_a_report(tmp_path, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # the workers'; threads wait long on a busy machine
    options = ["--only", "memory", "--quick", "--rounds", "1", "--device", "cpu"]
    assert main([*options, "--out", str(tmp_path / "r"), "--figures", str(tmp_path / "f")]) == 0
    rows = report.load(tmp_path / "r")
    assert set(rows["what"]) == {"memory of step"}
    assert {"authors", "KANLinear", "KANLinear, scale kept + settings"} <= set(rows["label"])
    assert rows[["cpu", "cores", "torch", "threads", "commit"]].notna().all(axis=None)
    summary = (tmp_path / "r/summary.md").read_text()
    assert "peak memory of a training step, MiB" in summary and "not measured" in summary
    assert f"Measured at the commits: memory {rows['commit'][0]}." in summary
    assert (tmp_path / "f/benchmarks_models.png").stat().st_size > 5_000


def test_a_commit_that_looks_like_a_number_stays_a_word(tmp_path):
    row = {"shape": "784-34", "commit": "89343e332", "settings": "plain", "competitor": "MLP"}
    pd.DataFrame([row]).to_csv(tmp_path / "layers.csv", index=False)
    assert report.load(tmp_path)[list(row)].to_dict("records") == [row]


def test_targets_are_ratios_of_medians_of_one_run():
    def row(competitor, label, median, what="step"):
        return {
            "what": what, "shape": "784-34", "batch": 64, "grid_size": 5, "spline_order": 3,
            "competitor": competitor, "label": label, "median": median, "source": "models",
        }  # fmt: skip

    table = targets(
        pd.DataFrame(
            [
                row("authors", "authors", 8.0),
                row("x", "KANLinear + settings", 1.6),
                row("y", "KANLinear, scale kept + settings", 2.0),
                row("z", "dense limit", 1.0),
                row("z", "dense limit + settings", 1.2),
            ]
        )
    ).set_index("target")
    step = table.loc["step 784-34 with settings against the authors' way"]
    assert math.isclose(step["value"], 5.0) and step["verdict"] == "met"
    assert math.isclose(step["scale_kept"], 4.0)
    assert math.isclose(step["limit"], 8.0)
    others = table.drop(index=step.name)
    assert (others["verdict"] == "not measured").all()


def test_one_report_is_of_one_machine():
    rows = pd.DataFrame([{"gpu": "", "cpu": name, "cores": 2, "system": "Linux", "torch": "2",
                          "threads": 2} for name in "aab"])  # fmt: skip
    assert report._machine(rows[:2]).startswith("a, 2 cores, 2 threads, Linux")
    with pytest.raises(ValueError, match="results of 2 machines in one folder, must be of one"):
        report._machine(rows)
