"""Which tables and figures each notebook writes: one list, for the workflow and for the tests."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from kanlib.experiments.grid import Experiment
from kanlib.experiments.run import Run
from kanlib.models.registry import MODELS

Condition = Callable[[list[Run]], bool]


def _has_edges(runs: list[Run]) -> bool:
    """Models without functions on their edges have none to draw."""
    return any(MODELS[run.model].on_edges for run in runs)


def _several_seeds(runs: list[Run]) -> bool:
    """One seed gives no interval: records of pairs of settings are read with those of others."""
    return len({run.seed for run in runs}) > 1


def _has_deep(runs: list[Run]) -> bool:
    return _several_seeds(runs) and any(run.hidden for run in runs)


@dataclass(frozen=True)
class Outputs:
    """What a notebook writes, as names of files without folder and ending.

    Attributes:
        tables: each as .csv, .md and .tex. "{name}" is the name of the notebook's experiment.
        figures: each as .png and .pdf.
        kept: tables that are measured once and then read. No rule of the workflow makes them: it
            would take the old file away first.
        only_if: one of these -> whether it is written, given the runs of the experiment.
    """

    tables: tuple[str, ...] = ()
    figures: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    only_if: Mapping[str, Condition] = field(default_factory=dict)


TABLES, FIGURES = "notebooks/03_tables.ipynb", "notebooks/04_figures.ipynb"
OUTPUTS = {
    TABLES: Outputs(tables=("{name}", "{name}_mse", "{name}_accuracy", "{name}_leak")),
    FIGURES: Outputs(
        figures=(
            "{name}_mse",
            "{name}_accuracy",
            "{name}_reconstructions",
            "{name}_training",
            "{name}_edges",
            "{name}_confusion",
        ),
        only_if={"{name}_edges": _has_edges},
    ),
    "notebooks/05_audit.ipynb": Outputs(tables=("audit",), figures=("audit_leak",)),
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
            "{name}_edges",
            "{name}_ablation",
            "{name}_pruning",
            "{name}_fields",
            "{name}_pruned",
            "{name}_formulas",
        ),
    ),
    "notebooks/10_beyond_images.ipynb": Outputs(tables=("series",), figures=("series",)),
    "notebooks/11_stability.ipynb": Outputs(tables=("{name}",), figures=("{name}",)),
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
    runs = plan.runs()
    tables: list[str] = []
    figures: list[str] = []
    for notebook in [plan.notebook] if plan.notebook else [TABLES, FIGURES]:
        made = OUTPUTS.get(notebook, Outputs(tables=("{name}",), figures=("{name}",)))
        for stems, found in ((made.tables, tables), (made.figures, figures)):
            written = (stem for stem in stems if made.only_if.get(stem, bool)(runs))
            found += [stem.format(name=name) for stem in written]
    return tables, figures
