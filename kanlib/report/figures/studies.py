"""Figures of the studies: cost against benefit, effects of settings, steps of a training.

Nothing is computed here but medians and fronts to draw.
"""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.ticker import MaxNLocator, PercentFormatter

from kanlib.experiments.run import Run
from kanlib.models.registry import MODELS
from kanlib.report.columns import configurations
from kanlib.report.figures.style import (
    NO_GRID,
    STYLE,
    by_label,
    grid,
    headline,
    look,
    on_lines,
    plain_log_axis,
)
from kanlib.report.labels import label, words
from kanlib.report.search import ERROR, KANS, RIVALS
from kanlib.report.sensitivity import relative
from kanlib.training.config import OF_GRIDS, TrainingConfig

_OF_TRAINING = TrainingConfig.model_fields.keys() - OF_GRIDS
_VERDICTS = {  # marker and colour of what a change does; shapes tell them apart in grey too
    "better": {"marker": "v", "color": "#0072B2"},
    "worse": {"marker": "^", "color": "#D55E00"},
    "undecided": {"marker": "o", "color": "0.5", "markerfacecolor": "white"},
}


def effects(table: pd.DataFrame, *, title: str = "") -> Figure:
    """How much each change moves the test error, in percent, from the worst to the best.

    Changes of the training are in bold type.

    Args:
        table: as ``kanlib.report.sensitivity.effects`` returns, with the unchanged runs in it.
        title: above the axes.

    Raises:
        ValueError: no row is that of the unchanged runs.
    """
    rows = relative(table).sort_values("difference", ascending=False, ignore_index=True)
    columns: dict[Any, Any] = {"axes.grid.axis": "x"}
    with mpl.rc_context(STYLE | columns):
        figure, [[axes]] = grid(1, 1, (7.5, 0.19 * len(rows) + 1.2))
        axes.axvline(0, color="black", lw=1)
        for verdict, drawn in _VERDICTS.items():
            own = rows[rows["verdict"] == verdict]
            bars = [own["difference"] - own["low"], own["high"] - own["difference"]]
            style: dict[str, Any] = {"linestyle": "none", "markersize": 6, **drawn}
            axes.errorbar(own["difference"], own.index, xerr=bars, label=verdict, **style)
        at_edge: dict[str, Any] = {"transform": axes.get_yaxis_transform(), "fontsize": 8}
        for place, change in enumerate(rows["difference"]):
            number = f"{change:+.1%}".replace("-", "\N{MINUS SIGN}")
            axes.text(1.14, place, number, va="center", ha="right", **at_edge)
        axes.set_yticks(range(len(rows)), list(rows["change"]), fontsize=8)
        for text, name in zip(axes.get_yticklabels(), rows["setting"], strict=True):
            text.set_fontweight("bold" if name in _OF_TRAINING else "normal")
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"change of the {words('test_mse')}")
        axes.legend(loc="center", bbox_to_anchor=(0.75, 0.5))
        figure.suptitle(title)
    return figure


def tries(table: pd.DataFrame, chosen: pd.DataFrame, *, title: str = "") -> Figure:
    """The validation error of every try of a search, a line for each arm, the best arm first.

    KANs are in bold type. The chosen try of each arm is filled.

    Args:
        table: columns label, validation_mse and the parameters of the runs; a row a try.
        chosen: of those, one row an arm, as ``kanlib.report.search.best`` returns.
        title: above the axes.
    """
    places = {name: place for place, name in enumerate(chosen["label"])}
    columns: dict[Any, Any] = {"axes.grid.axis": "x"}
    with mpl.rc_context(STYLE | columns):
        figure, [[axes]] = grid(1, 1, (7.5, 0.21 * len(chosen) + 1.2))
        for rows, filled in ((table, False), (chosen, True)):
            for row in rows.to_dict("records"):
                style = look(row) | {"linestyle": "none", "zorder": 3 + filled}
                style["markerfacecolor"] = style["color"] if filled else "white"
                axes.plot(row[ERROR], places[row["label"]], **style)
        axes.set_yticks(range(len(chosen)), list(chosen["label"]), fontsize=8)
        for text, model in zip(axes.get_yticklabels(), chosen["model"], strict=True):
            text.set_fontweight("bold" if model in KANS else "normal")
        axes.set(ylim=(len(chosen) - 0.5, -0.5), xlabel=words(ERROR), xscale="log")
        plain_log_axis(axes.xaxis)
        figure.suptitle(title)
    return figure


def league(verdicts: pd.DataFrame, *, title: str = "") -> Figure:
    """How far the best KAN lies from the best rival of each kind: a line a cell, in percent.

    Args:
        verdicts: as ``kanlib.report.search.verdicts`` returns. A mark is hollow where its interval
            reaches zero.
        title: above the axes.
    """
    cells = {cell: place for place, cell in enumerate(verdicts["cell"].unique())}
    columns: dict[Any, Any] = {"axes.grid.axis": "x"}
    with mpl.rc_context(STYLE | columns):
        figure, [[axes]] = grid(1, 1, (7.5, 0.6 * len(cells) + 1.5))
        axes.axvline(0, color="black", lw=1)
        for line, (against, models) in enumerate(RIVALS.items()):
            own: Any = verdicts[verdicts["against"] == against]
            style = look({"model": models[-1] if against == "CNN" else models[0]})
            kan = "conv KAN against" if against == "CNN" else "against"
            style |= {"linestyle": "none", "label": f"{kan} {against}"}
            axes.plot([], [], **style)
            for row in own.to_dict("records"):
                ends = [[row["difference"] - row["low"]], [row["high"] - row["difference"]]]
                sure = row["low"] > 0 or row["high"] < 0
                face = style["color"] if sure else "white"
                height = cells[row["cell"]] + 0.18 * (line - (len(RIVALS) - 1) / 2)
                drawn = style | {"label": None, "markerfacecolor": face}
                axes.errorbar(row["difference"], height, xerr=ends, **drawn)
        axes.set_yticks(range(len(cells)), list(cells))
        axes.xaxis.set_major_formatter(PercentFormatter(1, symbol="%"))
        axes.set(ylim=(len(cells) - 0.5, -0.5))
        axes.set_xlabel("test error against the rival's\n(left: the KAN is better)")
        figure.legend(loc="outside lower center", ncols=len(RIVALS))
        headline(figure, title)
    return figure


def heatmaps(tables: Mapping[str, pd.DataFrame], *, title: str = "") -> Figure:
    """Test error for all pairs of two settings, a panel a pair; one scale of colours for all.

    Args:
        tables: panel title -> as ``kanlib.report.sensitivity.crossed`` returns.
        title: above the panels.
    """
    import seaborn as sns  # takes 0.3 s, which a training run need not wait for

    errors = np.concatenate([table.to_numpy().ravel() for table in tables.values()])
    drawn: dict[str, Any] = {"cmap": "cividis", "annot": True, "fmt": ".3f", "cbar": False}
    drawn |= {"vmin": np.nanmin(errors), "vmax": np.nanmax(errors)}
    columns = [table.shape[1] for table in tables.values()]
    with mpl.rc_context(STYLE | NO_GRID):
        figure = Figure(figsize=(1.1 * sum(columns) + 2, 3.6), layout="constrained")
        panels = figure.subplots(1, len(tables), squeeze=False, width_ratios=columns)
        for axes, (name, table) in zip(panels[0], tables.items(), strict=True):
            sns.heatmap(table.rename_axis(index=words, columns=words), ax=axes, **drawn)
            axes.set_title(name, fontsize=10)
            axes.tick_params(length=0, labelrotation=0)
        figure.colorbar(panels[0, 0].collections[0], ax=panels, label=words("test_mse"))
        figure.suptitle(title)
    return figure


def spread(table: pd.DataFrame, column: str, model: str, *, title: str = "") -> Figure:
    """Test error of every seed: of one model against what explains it, then of all models.

    Args:
        table: columns label, every parameter of the run, test_mse and ``column``.
        column: on the horizontal axis of the first panel.
        model: the label of the model that is there.
        title: above the panels.

    Raises:
        ValueError: ``model`` is no label of ``table``.
    """
    models = by_label(table)
    if (model := on_lines(model)) not in models:
        raise ValueError(f"model={model!r} must be one of {', '.join(models)}")
    dots: dict[str, Any] = {"linestyle": "none", "markersize": 6, "alpha": 0.7}
    with mpl.rc_context(STYLE):
        figure, panels = grid(1, 2, (8.5, 3.9))
        against, beside = panels[0]
        beside.sharey(against)
        own = models[model]
        against.plot(own[column], own["test_mse"], **look(own.iloc[0]) | dots)
        against.xaxis.set_major_locator(MaxNLocator(integer=True))
        against.set(xlabel=f"{model}: {words(column)}", ylabel=words("test_mse"))
        for place, rows in enumerate(models.values()):
            shifts = np.linspace(-0.25, 0.25, len(rows)) if len(rows) > 1 else np.zeros(1)
            beside.plot(place + shifts, rows["test_mse"], **look(rows.iloc[0]) | dots)
        counts = [f"{len(rows)} seed{'s' * (len(rows) > 1)}" for rows in models.values()]
        names = [f"{name}\n({count})" for name, count in zip(models, counts, strict=True)]
        beside.set_xticks(range(len(models)), names)
        beside.set(xlim=(-0.5, len(models) - 0.5))
        figure.suptitle(title)
    return figure


def steps(log: pd.DataFrame, *, title: str = "") -> Figure:
    """Loss and gradient norm over the training.

    Args:
        log: as ``kanlib.experiments.step_logs`` returns, with a column label: lines are medians
            over seeds, bands reach from the least to the largest.
        title: above the panels.
    """
    with mpl.rc_context(STYLE):
        figure, panels = grid(1, 2, (8.5, 3.6))
        for axes, column in zip(panels[0], ("loss", "gradient_norm"), strict=True):
            for name, rows in by_label(log).items():
                seeds: Any = rows.groupby("epoch")[column]
                colour = look(rows.iloc[0])["color"]
                ends = seeds.min(), seeds.max()
                axes.fill_between(ends[0].index, *ends, color=colour, alpha=0.2, lw=0)
                axes.plot(seeds.median(), color=colour, lw=0.8, label=name)
            axes.set(yscale="log", xlabel="epoch", ylabel=words(column))
            plain_log_axis(axes.yaxis)
        panels[0, 0].legend()
        figure.suptitle(title)
    return figure


# Where a model's name stands: at its cheapest (0) or dearest (-1) width, and on which side.
_NAMED = {
    "kan": (0, "right"),
    "kan-pure": (-1, "right"),
    "mlp": (0, "left"),
    "spline-mlp": (-1, "left"),
    "conv": (0, "right"),
    "pca": (0, "left"),
}


def fronts(
    table: pd.DataFrame,
    loss: str,
    on_front: Mapping[str, pd.Series],
    *,
    title: str = "",
) -> Figure:
    """Loss against cost, a panel a cost; a thick line is the Pareto front.

    Thin lines join the widths of a model. Variants of a model have its colour, without a name.

    Args:
        table: every parameter of the run, parameters, the loss and every cost; less is better.
        loss: column.
        on_front: cost, a column -> for each row of ``table``, whether none is better in both, as
            ``kanlib.report.timing.pareto`` returns.
        title: above the panels.
    """
    families = _families(table.sort_values("parameters"))
    plainest: Any = sorted(families, key=lambda run: len(run.changes()), reverse=True)
    named = {run.model: run for run in plainest}.values()
    with mpl.rc_context(STYLE):
        figure, panels = grid(1, len(on_front), (4.6 * len(on_front), 4.3))
        for axes, (cost, best) in zip(panels[0], on_front.items(), strict=True):
            front: Any = table[best]
            front = front.sort_values(cost)
            thick: dict[str, Any] = {"where": "post", "color": "0.85", "lw": 5, "zorder": 0}
            axes.step(front[cost], front[loss], label="least error for its price", **thick)
            for run, rows in families.items():
                style = look(run.model_dump()) | {"linestyle": "-", "linewidth": 0.7}
                known: Any = rows.dropna(subset=cost)
                axes.plot(known[cost], known[loss], **style)
                if run in named and len(known):
                    point, side = _NAMED.get(run.model, (0, "right"))
                    where = known[[cost, loss]].iloc[point]
                    _write(axes, label(run.model_dump()), where, side, style["color"])
            axes.sharey(panels[0, 0])
            axes.set(xscale="log", yscale="log", xlabel=words(cost))
            axes.margins(x=0.2, y=0.1)
            plain_log_axis(axes.xaxis)
            plain_log_axis(axes.yaxis)
        panels[0, 0].set_ylabel(words(loss))
        panels[0, 0].legend(loc="lower left")
        figure.suptitle(title)
    return figure


def _write(axes: Axes, text: str, where: Any, side: str, colour: str) -> None:
    """A name beside a point, readable over lines."""
    left = side == "left"
    drawn: dict[str, Any] = {
        "xytext": (-7, -8) if left else (8, 4),
        "ha": "right" if left else "left",
    }
    halo = [withStroke(linewidth=3, foreground="white")]
    axes.annotate(text, where, textcoords="offset points", color=colour, path_effects=halo, **drawn)


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
