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

from kanlib.report.figures.style import NO_GRID, STYLE, grid, look, plain_log_axis
from kanlib.report.sensitivity import NOTHING, UNCHANGED


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
    names = [
        ", ".join(map(" = ".join, zip(setting.split(" + "), value.split(", "), strict=True)))
        for setting, value in zip(changed["setting"], changed["value"], strict=True)
    ]
    colours = {"better": "C2", "worse": "C3", "undecided": "0.5", NOTHING: "0.5"}
    with mpl.rc_context(STYLE):
        figure, [[axes]] = grid(1, 1, (7.5, 0.24 * len(changed) + 1.3))
        axes.axvline(unchanged, color="black", lw=1, ls="--", label="unchanged")
        for verdict, colour in colours.items():
            rows = (changed["verdict"] == verdict).to_numpy()
            if not rows.any():
                continue
            where, values = np.flatnonzero(rows), changed["test_mse"].to_numpy()[rows]
            low, high = ((unchanged + changed[end]).to_numpy()[rows] for end in ("low", "high"))
            bars = [values - low, high - values]
            axes.errorbar(values, where, xerr=bars, fmt="o", color=colour, ms=5,
                          label="one seed" if verdict == NOTHING else verdict)  # fmt: skip
        axes.set_yticks(range(len(names)), names, fontsize=8)
        axes.set(xlabel="test MSE", title=title, ylim=(len(names) - 0.5, -0.5))
        axes.legend(fontsize=8, loc="best")
    return figure


def heatmaps(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """A metric for all pairs of two settings.

    Args:
        tables: panel title -> as ``kanlib.report.sensitivity.crossed`` returns.
        title: above the panels.
    """
    with mpl.rc_context(STYLE | NO_GRID):
        figure, panels = grid(1, len(tables), (4.2 * len(tables), 3.4))
        for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
            sns.heatmap(table, ax=axes, annot=True, fmt=".4f", cmap="Blues_r", cbar=False,
                        annot_kws={"size": 8})  # fmt: skip
            axes.set_title(name, fontsize=10)
            axes.tick_params(length=0, labelsize=8)
        figure.suptitle(title)
    return figure


def steps(log: pd.DataFrame, records: pd.DataFrame, *, title: str = "") -> Figure:
    """Loss and gradient norm over the training, and the test error of every seed.

    Args:
        log: as ``kanlib.report.stability.load_steps`` returns: lines are medians over seeds,
            bands reach from the least to the largest.
        records: columns label, test_mse; one point each.
        title: above the panels.
    """
    with mpl.rc_context(STYLE):
        figure, panels = grid(1, 3, (12, 3.8))
        for axes, column, name in zip(
            panels[0], ("loss", "gradient_norm"), ("training loss", "gradient norm"), strict=False
        ):
            for label, rows in log.groupby("label", sort=False):
                seeds = rows.groupby("epoch")[column]
                colour = look(str(label))["color"]
                axes.fill_between(seeds.median().index, seeds.min(), seeds.max(), color=colour,
                                  alpha=0.2, lw=0)  # fmt: skip
                axes.plot(seeds.median(), color=colour, lw=0.8, label=label)
            axes.set(yscale="log", xlabel="epoch", title=name)
            plain_log_axis(axes.yaxis)
        labels = list(records["label"].unique())
        for place, label in enumerate(labels):
            errors = records.loc[records["label"] == label, "test_mse"]
            drawn = look(label) | {"linestyle": "none", "markersize": 4}
            spread = np.linspace(-0.25, 0.25, len(errors)) if len(errors) > 1 else [0]
            panels[0, 2].plot(place + np.asarray(spread), errors, alpha=0.7, **drawn)
        panels[0, 2].set_xticks(range(len(labels)), [name.replace(", ", "\n") for name in labels])
        panels[0, 2].set(title="test MSE, a point a seed", ylim=(0, None))
        panels[0, 0].legend(fontsize=8)
        figure.suptitle(title)
    return figure


def fronts(
    table: pd.DataFrame,
    axes_of: Mapping[str, str],
    losses: Mapping[str, str],
    on_front: Mapping[tuple[str, str], pd.Series],
    *,
    title: str = "",
) -> Figure:
    """Loss against cost, a panel for each pair; a thick line is the Pareto front.

    Thin lines join the widths of a model, by its parameters.

    Args:
        table: columns label, parameters, every cost and every loss; less is better.
        axes_of: cost column -> what it is, with its unit.
        losses: loss column -> what it is.
        on_front: (cost, loss) -> for each row of ``table``, whether none is better in both, as
            ``kanlib.experiments.costs.pareto`` returns.
        title: above the panels.
    """
    with mpl.rc_context(STYLE):
        size = (4.2 * len(losses), 2.7 * len(axes_of) + 1)
        figure, panels = grid(len(axes_of), len(losses), size)
        for line, (cost, cost_name) in zip(panels, axes_of.items(), strict=True):
            for axes, (loss, loss_name) in zip(line, losses.items(), strict=True):
                front: Any = table[on_front[cost, loss]]
                front = front.sort_values(cost)
                axes.step(front[cost], front[loss], where="post", color="0.8", lw=2.5, zorder=0)
                for label, rows in _by_family(table.sort_values("parameters")):
                    drawn = look(label) | {"linestyle": "-", "linewidth": 0.5}
                    axes.plot(rows[cost], rows[loss], label=label, **drawn)
                axes.set(xscale="log", yscale="log", xlabel=cost_name, ylabel=loss_name)
                plain_log_axis(axes.xaxis)
                plain_log_axis(axes.yaxis)
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center",
                      ncols=3, fontsize=8)  # fmt: skip
        figure.suptitle(title)
    return figure


def _by_family(table: pd.DataFrame) -> Sequence[tuple[str, pd.DataFrame]]:
    """Models that differ in their width alone share a name and a look."""
    names = table["label"].str.replace(r", (hidden=\d+|matched)$", "", regex=True)
    groups: Any = table.groupby(names, sort=False)
    return [(str(label), rows) for label, rows in groups]
