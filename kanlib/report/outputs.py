"""Which tables and figures each notebook writes: one list, for the workflow and for the tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kanlib.experiments.grid import FIGURE_KINDS, Experiment
from kanlib.models.registry import MODELS

Condition = Callable[[Experiment], bool]


def _drawn(kind: str) -> Condition:
    """The experiment asks for figures of this kind, and has models that can be drawn so."""
    if kind != "edges":
        return lambda plan: kind in plan.figures
    return lambda plan: kind in plan.figures and any(MODELS[r.model].on_edges for r in plan.runs())


def _several_seeds(plan: Experiment) -> bool:
    """One seed gives no interval: records of pairs of settings are read with those of others."""
    return len({run.seed for run in plan.runs()}) > 1


def _has_deep(plan: Experiment) -> bool:
    return _several_seeds(plan) and any(run.hidden for run in plan.runs())


@dataclass(frozen=True)
class Outputs:
    """What a notebook writes, as names of files without folder and ending.

    Attributes:
        tables: each as .csv, .md and .tex. "{name}" is the name of the notebook's experiment.
        figures: each as .png and .pdf.
        kept: tables that are measured once and then read. No rule of the workflow makes them: it
            would take the old file away first.
        only_if: one of these -> whether it is written, given the experiment.
    """

    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    only_if: Mapping[str, Condition] = field(default_factory=dict)


TABLES, FIGURES = "notebooks/03_tables.ipynb", "notebooks/04_figures.ipynb"
OUTPUTS = {
    "notebooks/01_kan_layer.ipynb": Outputs(figures=("idea",)),
    TABLES: Outputs(tables=("{name}", "{name}_mse")),
    FIGURES: Outputs(
        figures=tuple(f"{{name}}_{kind}" for kind in FIGURE_KINDS),
        only_if={f"{{name}}_{kind}": _drawn(kind) for kind in FIGURE_KINDS},
    ),
    "notebooks/00_paper.ipynb": Outputs(
        tables=("paper",), figures=("paper",), kept=("training_steps",)
    ),
    "notebooks/05_audit.ipynb": Outputs(
        tables=("audit", "audit_factors"), figures=("audit", "audit_leak")
    ),
    "notebooks/06_verdicts.ipynb": Outputs(
        tables=("scoreboard", "verdicts", "claims"), figures=("verdicts",), kept=("training_steps",)
    ),
    "notebooks/07_worth.ipynb": Outputs(
        tables=("{name}",), figures=("{name}",), kept=("{name}_costs",)
    ),
    "notebooks/08_sensitivity.ipynb": Outputs(
        tables=("{name}", "{name}_coverage", "{name}_deep"),
        figures=("{name}", "{name}_pairs"),
        only_if={
            "{name}": _several_seeds,
            "{name}_coverage": _several_seeds,
            "{name}_deep": _has_deep,
            "{name}_pairs": _several_seeds,
        },
    ),
    "notebooks/09_interpretability.ipynb": Outputs(
        tables=(
            "{name}_measures",
            "{name}_ablation",
            "{name}_pruning",
            "{name}_comparisons",
            "{name}_verdicts",
        ),
        figures=(
            "{name}_comparisons",
            "{name}_edges",
            "{name}_ablation",
            "{name}_formulas",
            "{name}_pruning",
        ),
    ),
    "notebooks/10_beyond_images.ipynb": Outputs(
        tables=("series", "texts"), figures=("series", "texts")
    ),
    "notebooks/11_stability.ipynb": Outputs(tables=("{name}",), figures=("{name}",)),
    "notebooks/12_better_kans.ipynb": Outputs(
        tables=("{name}", "league", "league_verdicts", "tasks"),
        figures=("{name}", "league"),
        kept=("league_costs",),
    ),
}


def outputs(plan: Experiment, name: str) -> tuple[list[str], list[str]]:
    """What is made of an experiment: by its own notebook, or by those of tables and figures.

    Args:
        plan: the experiment.
        name: of its file, without .yaml.

    Returns:
        Tables and figures, as names of files without folder and ending. A notebook that is not in
        ``OUTPUTS`` is to write one of each, named as the experiment.
    """
    tables: list[str] = []
    figures: list[str] = []
    for notebook in [plan.notebook] if plan.notebook else [TABLES, FIGURES]:
        made = OUTPUTS.get(notebook, Outputs(tables=("{name}",), figures=("{name}",)))
        for stems, found in ((made.tables, tables), (made.figures, figures)):
            written = (stem for stem in stems if made.only_if.get(stem, bool)(plan))
            found += [stem.format(name=name) for stem in written]
    return tables, figures
