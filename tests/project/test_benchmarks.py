"""benchmarks/: competitors compute one function; the machinery runs. No time is asserted."""

import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from benchmarks import startup
from benchmarks.__main__ import main
from benchmarks.cases import BENCHMARKS, Case, Competitor, both, shrunk
from benchmarks.competitors import MODELS
from benchmarks.measure import WorkerProcess, memory_of_cases, time_cases
from benchmarks.recursion import RecursiveKANLinear
from benchmarks.report import write_report
from benchmarks.rows import load, write
from benchmarks.sparse import SparseKANLinear
from benchmarks.targets import targets
from benchmarks.work import WORK
from benchmarks.worker import Worker
from kanlib import BSpline, KANLinear, from_efficient_kan

COMMITTED = Path("results/benchmarks").resolve()


@pytest.mark.parametrize(("grid_size", "order"), [(5, 3), (3, 1), (8, 2), (4, 4), (20, 5)])
def test_the_sparse_layer_computes_the_folded_layer(grid_size, order):
    torch.manual_seed(0)
    folded = KANLinear(7, 5, basis=BSpline(grid_size, order), init_noise=3.0)
    sparse = SparseKANLinear(7, 5, grid_size, order)
    with torch.no_grad():
        sparse.base_weight.copy_(folded.weight[:, 0])
        sparse.coefficients.copy_(folded.weight[:, 1:].permute(2, 1, 0))
    x = torch.randn(40, 7) * 1.2  # inside the grid, in its extension and beyond
    x[0], x[1] = 3.0, -3.0

    def output_and_gradients(layer, *parameters):
        inputs = x.clone().requires_grad_()
        y = layer(inputs)
        weights = torch.linspace(-1, 1, y.numel()).view_as(y)
        return [y, *torch.autograd.grad((weights * y).sum(), [inputs, *parameters])]

    y, by_input, by_weight = output_and_gradients(folded, folded.weight)
    expected = [y, by_input, by_weight[:, 0], by_weight[:, 1:].permute(2, 1, 0)]
    found = output_and_gradients(sparse, sparse.base_weight, sparse.coefficients)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_the_authors_autoencoder_is_the_papers_with_other_layers():
    authors, paper = (MODELS[name]((1, 4, 4), 3) for name in ("authors", "KANLinear, scale kept"))
    x = torch.rand(8, 1, 4, 4) * 2 - 1
    expected = authors(x)
    count = 0
    for part in list(authors.children()):
        for name, layer in list(part.named_children()):
            assert not isinstance(layer, KANLinear)
            if isinstance(layer, RecursiveKANLinear):
                setattr(part, name, from_efficient_kan(layer.state_dict()))
                count += 1
    paper.load_state_dict(authors.state_dict())
    assert count == 2
    torch.testing.assert_close(paper(x), expected, rtol=1e-5, atol=1e-5)


def test_the_limit_of_a_model_updates_as_many_numbers():
    limit, ours = (MODELS[name]((1, 4, 4), 3) for name in ("dense limit", "KANLinear"))
    assert sum(p.numel() for p in limit.parameters()) == sum(p.numel() for p in ours.parameters())
    assert limit(torch.rand(2, 1, 4, 4)).shape == (2, 1, 4, 4)


@pytest.mark.parametrize("name", BENCHMARKS)
def test_every_competitor_can_do_its_work(name):
    assert len(BENCHMARKS[name]) == len(set(BENCHMARKS[name]))
    for case in shrunk(BENCHMARKS[name]):
        for competitor in case.competitors_on("cpu"):
            if case.what != "epoch":  # wants MNIST
                WORK[case.what](case, competitor, "cpu", lambda function: function)()


@pytest.mark.slow
def test_rounds_of_fresh_processes_become_rows():
    case = Case("inner layer", 16, 4, 8, both("dense limit"))  # quick to compile
    plain, fast = time_cases([case], 3, "cpu")
    assert plain["settings"] == "plain" and fast["settings"].startswith("malloc, ")
    for row in (plain, fast):
        assert (row["competitor"], row["rounds"], row["unit"]) == ("dense limit", 3, "ms")
        assert 0 < row["p10"] <= row["median"] <= row["p90"]


@pytest.fixture
def worker():
    worker = WorkerProcess(fast=False)
    yield worker
    worker.close()


def test_a_workers_failure_is_reported(worker):
    case = Case("inner layer", 4, 2, 8, ())
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        worker.ask(Worker.prepare, case, Competitor("nobody"), "cpu")


def test_a_workers_death_is_reported(worker):
    worker.process.kill()
    with pytest.raises(RuntimeError, match="-9"):
        worker.ask(Worker.round)


@pytest.mark.slow
def test_peak_memory_becomes_rows_and_a_report(tmp_path):
    case = Case("step", 784, 34, 8, both("dense limit"))
    write(memory_of_cases([case], 1, "cpu"), tmp_path / "memory.csv")
    write_report(tmp_path, tmp_path)
    rows = load(tmp_path)
    assert list(rows["label"]) == ["dense limit", "dense limit + settings"]
    numbers = 4 * sum(p.numel() for p in MODELS["dense limit"]((1, 28, 28), 34).parameters())
    assert (rows["median"] > 4 * numbers / 2**20).all()  # weights, gradients and two moments
    assert rows[["cpu", "cores", "torch", "threads", "commit"]].notna().all(axis=None)
    summary = (tmp_path / "summary.md").read_text()
    assert "peak memory of a training step, MiB" in summary and "not measured" in summary
    assert f"Measured at the commits: memory {rows['commit'][0]}." in summary


@pytest.mark.slow
def test_every_cost_of_a_start_is_measured(monkeypatch):
    quick = startup.COMPILING.replace("import kan\n", "import linear as kan\n")
    monkeypatch.setattr(startup, "COMPILING", quick)
    rows = startup.time_startup(1)
    compiling = {"compiled passes"} if shutil.which("g++") else set()
    assert {row["what"] for row in rows} == {"import", "batch run"} | compiling
    assert all(row["median"] > 0 for row in rows)


@pytest.fixture
def committed(tmp_path, monkeypatch):
    """A folder with a copy of the committed rows, in which commands run."""
    results = tmp_path / "results/benchmarks"
    results.mkdir(parents=True)
    for file in COMMITTED.glob("*.csv"):
        shutil.copy(file, results)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    return results


def test_the_committed_report_is_made_of_the_committed_rows(committed):
    assert main([]) == 0  # measures nothing: there is a result of everything
    for file in COMMITTED.iterdir():
        assert (committed / file.name).read_bytes() == file.read_bytes(), file.name
    assert [path.name for path in Path("figures").glob("*.png")] == ["benchmarks_times.png"]


@pytest.mark.parametrize("name", BENCHMARKS)
def test_the_committed_rows_are_those_that_would_be_measured(name):
    memory = "memory of " if "memory" in name else ""
    planned = [
        (
            memory + case.what,
            case.shape,
            case.batch,
            case.grid_size,
            case.spline_order,
            c.name,
            c.fast,
        )
        for case in BENCHMARKS[name]
        for c in case.competitors
    ]
    rows = pd.read_csv(COMMITTED / f"{name}.csv", dtype={"shape": str})
    columns = ["what", "shape", "batch", "grid_size", "spline_order", "competitor"]
    measured = rows[columns].assign(fast=rows["settings"] != "plain")
    assert list(measured.itertuples(index=False, name=None)) == planned


def test_one_report_is_of_one_machine(committed):
    rows = pd.read_csv(committed / "models.csv")
    rows.assign(cpu="Another").to_csv(committed / "models.csv", index=False)
    with pytest.raises(ValueError, match="'cpu': 'Another'"):
        main([])


def test_a_commit_that_looks_like_a_number_stays_a_word(tmp_path):
    row = {"shape": "784-34", "commit": "89343e332", "settings": "plain", "competitor": "MLP"}
    pd.DataFrame([row]).to_csv(tmp_path / "layers.csv", index=False)
    assert load(tmp_path)[list(row)].to_dict("records") == [row]


def test_targets_are_ratios_of_medians_of_one_run():
    medians = {
        "authors": 8.0,
        "KANLinear + settings": 1.6,
        "KANLinear, scale kept + settings": 2.0,
        "recursion + settings": 4.8,
        "dense limit": 1.0,
        "dense limit + settings": 1.2,
    }
    case = {"what": "step", "shape": "784-34", "batch": 64, "grid_size": 5, "spline_order": 3}
    rows = [
        case | {"competitor": label, "label": label, "median": median, "source": "models"}
        for label, median in medians.items()
    ]
    table = targets(pd.DataFrame(rows)).set_index("target")
    step = table.loc["step 784-34 with settings against the authors' way"]
    assert math.isclose(step["value"], 5.0) and step["verdict"] == "met"
    assert math.isclose(step["scale kept"], 4.0)
    assert math.isclose(step["limit"], 8.0)
    assert math.isclose(step["settings on for both"], 3.0)
    others = table.drop(index=step.name)
    assert (others["verdict"] == "not measured").all()
