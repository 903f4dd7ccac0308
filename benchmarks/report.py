"""From the result files to a summary in Markdown, with targets, and figures. Measures nothing."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import drawing
from benchmarks.rows import PLAIN, Table
from benchmarks.targets import LAYER, geometric_mean, ratios, targets
from kanlib.report import figures

# "784-34" is no date, and the commit 89343e332 no number beyond all others.
_WORDS: Any = {"shape": str, "commit": str}
TITLES = {
    "step": "training step, ms",
    "epoch": "epoch of MNIST, s",
    "inference": "reconstruction, images a second",
    "memory of step": "peak memory of a training step, MiB",
}


def load(folder: Path) -> Table:
    """All results in ``folder``, with columns ``source`` (the file) and ``label``.

    A label is a competitor with its settings: "KANLinear", "KANLinear + settings".
    """
    files = sorted(folder.glob("*.csv"))
    if not files:
        raise FileNotFoundError(f"no results in {folder}; measure first")
    table = pd.concat(
        [pd.read_csv(file, dtype=_WORDS).assign(source=file.stem) for file in files],
        ignore_index=True,
    ).fillna({"shape": ""})
    fast = table["settings"] != PLAIN
    table["label"] = table["competitor"] + np.where(fast, " + settings", "")
    return table


def write_report(results: Path, folder: Path) -> None:
    """summary.md and targets.md beside the results, benchmarks_*.png and .pdf in ``folder``."""
    table = load(results)
    parts = []
    for device, rows in table.groupby("device"):
        parts += [f"# Benchmarks on {_machine(rows)}", "", _commits(rows), ""]
        sections = [_ratios(rows), _layers(rows), _models(rows), _growth(rows), _startup(rows)]
        if device == "cpu":  # the targets are the CPU's
            (results / "targets.md").write_text(_targets(rows) + "\n")
            sections.insert(0, "## Targets\n\n" + _targets(rows))
        parts += [section + "\n" for section in sections if section]
        suffix = "" if device == "cpu" else f"_{device}"
        for name, draw in drawing.FIGURES.items():
            figure = draw(rows)
            if figure is not None:
                figures.save(figure, folder, f"benchmarks_{name}{suffix}")
    (results / "summary.md").write_text("\n".join(parts))


def _machine(rows: Table) -> str:
    """The machine that measured them all.

    Raises:
        ValueError: there were several: their milliseconds cannot stand in one table.
    """
    machines = rows[["gpu", "cpu", "cores", "system", "torch"]].drop_duplicates()
    if len(machines) > 1:
        raise ValueError(
            f"results of {len(machines)} machines in one folder, must be of one (give another with "
            f"--out): {machines.to_dict('records')}"
        )
    row = machines.iloc[0]
    gpu = f"{row['gpu']}, " if isinstance(row["gpu"], str) and row["gpu"] else ""
    threads = rows["threads"].max()
    return (
        f"{gpu}{row['cpu']}, {row['cores']} cores, {threads} threads, {row['system']}, "
        f"PyTorch {row['torch']}"
    )


def _commits(rows: Table) -> str:
    """Which code each file measured."""
    parts = [
        f"{source} {', '.join(dict.fromkeys(here['commit']))}"
        for source, here in rows.groupby("source", sort=False)
    ]
    return f"Measured at the commits: {'; '.join(parts)}."


def _targets(rows: Table) -> str:
    table = targets(rows)
    for name in ("value", "scale_kept", "limit", "both_on"):
        table[name] = [f"{number:.2f}" if number == number else "" for number in table[name]]  # NaN
    table = table.rename(columns={"scale_kept": "scale kept", "both_on": "settings on for both"})
    return table.to_markdown(index=False, disable_numparse=True)


def _ratios(rows: Table) -> str:
    """Speed-up over the recursion: a line a competitor, a column a batch."""
    rows = rows[rows["what"].isin(LAYER) & ~_is_growth(rows)]
    if rows.empty:
        return ""
    means = {
        f"batch {batch}": {
            label: f"{geometric_mean(ratios(here, 'recursion', label)):.1f}"
            for label in dict.fromkeys(here["label"])
            if label not in ("recursion", "pykan")  # pykan: not at all shapes
        }
        for batch, here in rows.groupby("batch")
    }
    return (
        "## Layer: times as fast as the recursion (efficient-kan's formula, plain)\n\nGeometric "
        "means over all shapes, first and inner layer; forward + backward.\n\n"
        + pd.DataFrame(means).fillna("").to_markdown(disable_numparse=True)
    )


def _layers(rows: Table) -> str:
    """Forward + backward at each batch: first layer / inner layer, as median and spread."""
    parts = []
    rows = rows[rows["what"].isin(LAYER) & ~_is_growth(rows)]
    for batch, here in rows.groupby("batch"):
        spread = ((here["p90"] - here["p10"]) / here["median"]).median()
        parts += [
            f"## Layer, forward + backward, batch {batch}, ms (first layer / inner layer)\n",
            f"Medians of {here['rounds'].min()} rounds; the 10th to 90th percentile span "
            f"{spread:.0%} of them (median over the table).\n",
            _pairs(here).to_markdown(disable_numparse=True),
            "",
        ]
    return "\n".join(parts)


def _pairs(rows: Table) -> Table:
    """Shapes down, competitors across, "first / inner" in the cells."""
    wide = rows.pivot_table(
        index="shape", columns=["what", "label"], values="median", sort=False, observed=True
    )
    labels = list(dict.fromkeys(rows["label"]))

    def cell(shape: object, label: str) -> str:
        values = [wide.get((what, label), pd.Series()).get(shape) for what in LAYER]
        return " / ".join("" if v is None else _digits(v) for v in values)

    cells = {label: [cell(shape, label) for shape in wide.index] for label in labels}
    return pd.DataFrame(cells, index=wide.index)


def _digits(value: float) -> str:
    """Three significant digits."""
    return "" if np.isnan(value) else f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _models(rows: Table) -> str:
    parts = []
    for what, title in TITLES.items():
        here = rows[rows["what"] == what]
        if len(here):
            wide = here.pivot_table(index="shape", columns="label", values="median", sort=False)
            markdown = wide.map(_digits).to_markdown(disable_numparse=True)
            parts += [f"## Autoencoder: {title}\n", markdown, ""]
    return "\n".join(parts)


def _growth(rows: Table) -> str:
    """Where the sparse formulation starts to win."""
    table = crossings(rows)
    if table.empty:
        return ""
    return (
        "## Sparse against dense\n\nThe smallest of the measured grid sizes from which on the "
        "sparse formulation beats the layer (inner layer, 784 inputs, batch 64, order 3).\n\n"
        + table.to_markdown(index=False, disable_numparse=True)
    )


def crossings(rows: Table) -> Table:
    """Columns outputs, time, time with settings, memory: grid sizes from which sparse wins."""
    sweep = rows[_is_growth(rows) & (rows["spline_order"] == 3) & (rows["batch"] == 64)]
    lines = []
    for shape, here in sweep.groupby("shape", sort=False):
        if here["grid_size"].nunique() > 1:
            time = here[here["what"] == "inner layer"]
            memory = here[here["what"] == "memory of inner layer"]
            lines.append(
                {
                    "outputs": str(shape).split("-")[1],
                    "time, both plain": _from_where(time, "KANLinear"),
                    "time, layer + settings": _from_where(time, "KANLinear + settings"),
                    "peak memory": _from_where(memory, "KANLinear"),
                }
            )
    return pd.DataFrame(lines)


def _from_where(rows: Table, label: str) -> str:
    """The grid size from which on "sparse" needs less than ``label`` does."""
    wide = rows.pivot_table(index="grid_size", columns="label", values="median")
    if label not in wide or "sparse" not in wide:
        return ""
    loses = wide.index[wide["sparse"] >= wide[label]]
    wins = wide.index[wide.index > (loses.max() if len(loses) else 0)]
    return f"{wins.min()}" if len(wins) else f"beyond {wide.index.max()}"


def _is_growth(rows: Table) -> Table:
    return rows["source"].str.startswith("growth")


def _startup(rows: Table) -> str:
    lines = []
    for what, title in (
        ("import", "Import in a fresh process"),
        ("compiled passes", "Compiled passes in a fresh process"),
        ("batch run", "Batch run of the training notebook on digits"),
    ):
        here = rows[rows["what"] == what]
        if len(here):
            costs = (f"{r.competitor} {_digits(r.median)} {r.unit}" for r in here.itertuples())
            lines += [f"## {title}", "", f"{', '.join(costs)}.", ""]
    return "\n".join(lines)
