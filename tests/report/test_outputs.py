"""What the notebooks write is what the list says."""

import json
from pathlib import Path
from typing import Any

import pytest
from cells import default_parameters
from pages import NOTEBOOKS, PAGES, text_of

from kanlib.experiments import Experiment, load_experiment
from kanlib.report.outputs import OUTPUTS, outputs

DRAW = "notebooks/04_figures.ipynb"
DEFAULT = default_parameters(DRAW)["experiment"]
PLANS = {path.stem: load_experiment(path) for path in sorted(Path("experiments").glob("*.yaml"))}
COMMITTED = [name for name in PLANS if Path(f"results/{name}.csv").exists()]


@pytest.mark.parametrize("name", COMMITTED)
def test_all_that_is_listed_is_committed(name):
    tables, figures = outputs(PLANS[name], name)
    paths = [f"results/{stem}{end}" for stem in tables for end in (".csv", ".md", ".tex")]
    paths += [f"figures/{stem}{end}" for stem in figures for end in (".png", ".pdf")]
    assert [path for path in paths if not Path(path).exists()] == []


def test_all_that_is_committed_is_listed():
    listed: tuple[set[str], set[str]] = (set(), set())
    for name in PLANS:
        for found, stems in zip(listed, outputs(PLANS[name], name), strict=True):
            found.update(stems)
    for made in OUTPUTS.values():  # of notebooks that read several experiments
        listed[0].update(made.tables)
        listed[0].update(stem.format(name=name) for stem in made.kept for name in PLANS)
        listed[1].update(made.figures)
    tables = {path.stem for path in Path("results").glob("*.csv")}
    figures = {path.stem for path in Path("figures").glob("*.png")}
    assert tables <= listed[0]
    assert {stem for stem in figures if not stem.startswith("benchmarks")} <= listed[1]


def test_models_without_functions_on_edges_have_none_drawn():
    grid: Any = {"model": ["mlp", "pca"]}
    plan = Experiment(title="a", about="b", grid=[grid])
    assert "x_edges" not in outputs(plan, "x")[1]
    plan = Experiment(title="a", about="b", grid=[grid, {"model": "kan"}])
    assert "x_edges" in outputs(plan, "x")[1]


def test_pairs_of_settings_at_one_seed_have_records_alone():
    notebook = "notebooks/08_sensitivity.ipynb"
    plan = Experiment(title="a", about="b", notebook=notebook, grid=[{"grid_size": [3, 5]}])
    assert outputs(plan, "x") == ([], [])
    plan = plan.model_copy(update={"common": {"seed": [0, 1]}})
    assert outputs(plan, "x") == (["x", "x_coverage"], ["x", "x_pairs"])
    plan = plan.model_copy(update={"grid": [{"hidden": [None, 3]}]})
    assert outputs(plan, "x")[0] == ["x", "x_coverage", "x_deep"]


def test_an_experiment_has_the_figures_that_it_asks_for():
    plan = Experiment(title="a", about="b", figures=("training", "mse"), grid=[{"model": "kan"}])
    assert set(outputs(plan, "x")[1]) == {"x_mse", "x_training"}
    plan = Experiment(title="a", about="b", figures=(), grid=[{"model": "kan"}])
    assert outputs(plan, "x") == (["x", "x_mse"], [])


def test_a_figure_that_nobody_can_draw_is_refused():
    kinds: Any = ("mse", "leak")
    with pytest.raises(ValueError, match=r"(?s)figures.*leak"):
        Experiment(title="a", about="b", figures=kinds, grid=[{}])


def test_an_experiment_with_a_notebook_of_its_own_asks_for_no_figures():
    with pytest.raises(ValueError, match=r"figures=\('mse',\)"):
        Experiment(title="a", about="b", notebook="n.ipynb", figures=("mse",), grid=[{}])


def test_every_committed_figure_is_on_a_page():
    """Or a notebook makes and shows it: for its own experiment, if it has one."""
    pages = "".join(map(text_of, [*PAGES, Path("docs/index.md"), *NOTEBOOKS]))
    shown = {
        stem for notebook, made in OUTPUTS.items() if notebook != DRAW for stem in made.figures
    }
    shown |= {stem for n, plan in PLANS.items() if plan.notebook for stem in outputs(plan, n)[1]}
    shown |= set(outputs(PLANS[DEFAULT], DEFAULT)[1])
    figures = {path.stem for path in Path("figures").glob("*.png") if "digits" not in path.stem}
    assert {stem for stem in figures - shown if stem not in pages} == set()


def test_a_notebook_that_is_not_listed_writes_one_table_and_one_figure():
    plan = Experiment(title="a", about="b", notebook="notebooks/99.ipynb", grid=[{}])
    assert outputs(plan, "x") == (["x"], ["x"])


@pytest.mark.parametrize("notebook", OUTPUTS)
def test_a_notebook_of_the_list_exists(notebook):
    assert json.loads(Path(notebook).read_text())["cells"]
