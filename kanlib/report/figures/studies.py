"""Figures of the studies: cost against benefit, effects of settings, steps of a training.

Nothing is computed here but medians and fronts to draw.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from kanlib.experiments.run import Run
from kanlib.models.registry import MODELS
from kanlib.report.columns import configurations
from kanlib.report.figures.style import NO_GRID, STYLE, by_label, grid, look, plain_log_axis
from kanlib.report.labels import label, words
from kanlib.report.sensitivity import UNCHANGED


def effects(table: pd.DataFrame, *, title: str = "") -> Figure:
    """Test error of each setting, one line each, beside that of the unchanged runs.

    Args:
        table: as ``kanlib.report.sensitivity.effects`` returns, with the unchanged runs in it.
        title: above the axes.

    Raises:
        ValueError: no row is that of the unchanged runs.
    """
    reference = table.loc[table["setting"] == UNCHANGED, "test_mse"]
    if reference.empty:
        raise ValueError(
            f"table: one row must have the setting {UNCHANGED!r}, to hold the others against"
        )
    unchanged = reference.iloc[0]
    changed: Any = table[table["setting"] != UNCHANGED]
    names = [_in_words(*row) for row in zip(changed["setting"], changed["value"], strict=True)]
    colours = {"better": "C2", "worse": "C3", "undecided": "0.5"}
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (7.5, 0.24 * len(changed) + 1.3))
        axes.axvline(unchanged, color="black", lw=1, ls="--", label=UNCHANGED)
        for verdict, colour in colours.items():
            rows = (changed["verdict"] == verdict).to_numpy()
            if not rows.any():
                continue
            where, values = np.flatnonzero(rows), changed["test_mse"].to_numpy()[rows]
            low, high = ((unchanged + changed[end]).to_numpy()[rows] for end in ("low", "high"))
            bars = [values - low, high - values]
            drawn: dict[str, Any] = {"fmt": "o", "color": colour, "ms": 5}
            axes.errorbar(values, where, xerr=bars, label=verdict, **drawn)
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set(xlabel=words("test_mse"), title=title, ylim=(len(names) - 0.5, -0.5))
        axes.legend(fontsize=8, loc="best")
    return figure


def _in_words(setting: str, value: str) -> str:
    """A row of ``kanlib.report.sensitivity.effects``: what was changed, and to what."""
    answers = {"True": "yes", "False": "no"}
    return ", ".join(
        f"{words(name)} = {answers.get(own, own)}"
        for name, own in zip(setting.split(" + "), value.split(", "), strict=True)
    )


def heatmaps(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """Test error for all pairs of two settings, a panel a pair.

    Args:
        tables: panel title -> as ``kanlib.report.sensitivity.crossed`` returns.
        title: above the panels.
    """
    with mpl.rc_context(STYLE | NO_GRID):
        figure, panels = grid(1, len(tables), (4.2 * len(tables), 3.4))
        for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
            shown = table.rename_axis(index=words, columns=words)
            drawn: dict[str, Any] = {"cmap": "Blues_r", "cbar": False, "annot_kws": {"size": 8}}
            sns.heatmap(shown, ax=axes, annot=True, fmt=".4f", **drawn)
            axes.set_title(name, fontsize=10)
            axes.tick_params(length=0, labelsize=8)
        figure.suptitle(title)
    return figure


def steps(log: pd.DataFrame, frame: pd.DataFrame, *, title: str = "") -> Figure:
    """Loss and gradient norm over the training, and the test error of every seed.

    Args:
        log: as ``kanlib.experiments.step_logs`` returns, with a column label: lines are medians
            over seeds, bands reach from the least to the largest.
        frame: columns label, every parameter of the run, and test_mse; one point each.
        title: above the panels.
    """
    with mpl.rc_context(STYLE):
        figure, panels = grid(1, 3, (12, 3.8))
        for axes, column in zip(panels[0], ("loss", "gradient_norm"), strict=False):
            for name, rows in by_label(log).items():
                seeds: Any = rows.groupby("epoch")[column]
                colour = look(rows.iloc[0])["color"]
                ends = seeds.min(), seeds.max()
                axes.fill_between(ends[0].index, *ends, color=colour, alpha=0.2, lw=0)
                axes.plot(seeds.median(), color=colour, lw=0.8, label=name)
            axes.set(yscale="log", xlabel="epoch", title=words(column))
            plain_log_axis(axes.yaxis)
        models = by_label(frame)
        for place, rows in enumerate(models.values()):
            drawn = look(rows.iloc[0]) | {"linestyle": "none", "markersize": 4}
            spread = np.linspace(-0.25, 0.25, len(rows)) if len(rows) > 1 else np.zeros(1)
            panels[0, 2].plot(place + spread, rows["test_mse"], alpha=0.7, **drawn)
        names = [name.replace(", ", "\n") for name in models]
        panels[0, 2].set_xticks(range(len(models)), names)
        panels[0, 2].set(title=f"{words('test_mse')}, a point a seed", ylim=(0, None))
        panels[0, 0].legend(fontsize=8)
        figure.suptitle(title)
    return figure


def fronts(
    table: pd.DataFrame,
    costs: Sequence[str],
    losses: Sequence[str],
    on_front: Mapping[tuple[str, str], pd.Series],
    *,
    title: str = "",
) -> Figure:
    """Loss against cost, a panel for each pair; a thick line is the Pareto front.

    Thin lines join the widths of a model, by its parameters.

    Args:
        table: every parameter of the run, parameters, every cost and every loss; less is better.
        costs: columns.
        losses: columns.
        on_front: (cost, loss) -> for each row of ``table``, whether none is better in both, as
            ``kanlib.report.timing.pareto`` returns.
        title: above the panels.
    """
    families = _families(table.sort_values("parameters"))
    with mpl.rc_context(STYLE):
        size = (4.2 * len(losses), 2.7 * len(costs) + 1)
        figure, panels = grid(len(costs), len(losses), size)
        for line, cost in zip(panels, costs, strict=True):
            for axes, loss in zip(line, losses, strict=True):
                front: Any = table[on_front[cost, loss]]
                front = front.sort_values(cost)
                axes.step(front[cost], front[loss], where="post", color="0.8", lw=2.5, zorder=0)
                for run, rows in families.items():
                    drawn = look(run.model_dump()) | {"linestyle": "-", "linewidth": 0.5}
                    name = label(run.model_dump())
                    axes.plot(rows[cost], rows[loss], label=name, **drawn)
                axes.set(xscale="log", yscale="log", xlabel=words(cost), ylabel=words(loss))
                plain_log_axis(axes.xaxis)
                plain_log_axis(axes.yaxis)
        handles = panels[0, 0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=3, fontsize=8)
        figure.suptitle(title)
    return figure


def _families(table: pd.DataFrame) -> dict[Run, pd.DataFrame]:
    """The rows of models that differ in their width alone, by what they have in common."""
    places: dict[Run, list[int]] = {}
    for place, run in enumerate(configurations(table)):
        widths = {"hidden": None, "match_parameters": False}
        if run.match_parameters and "separate_scale" not in MODELS[run.model].options:
            widths["separate_scale"] = True  # it says how wide the model is
        family = Run(**run.model_dump() | widths)
        places.setdefault(family, []).append(place)
    return {run: table.iloc[rows] for run, rows in places.items()}
