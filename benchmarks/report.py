"""From the result files to a summary in Markdown, with targets, and figures. Measures nothing."""

from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.figures import times
from benchmarks.rows import Table, is_growth, load
from benchmarks.targets import LAYER, geometric_mean, ratios, targets
from kanlib.report.figures import save

MODELS = {
    "step": "training step, ms",
    "epoch": "epoch of MNIST, s",
    "inference": "reconstruction, images a second",
    "memory of step": "peak memory of a training step, MiB",
}
NODES = ("MLP, SiLU", "shared KAN")
STARTUP = {
    "import": "Import in a fresh process",
    "compiled passes": "Compiled passes in a fresh process",
    "batch run": "Batch run of the training notebook on digits",
}


def write_report(results: Path, folder: Path) -> None:
    """summary.md and targets.md beside the results, benchmarks_times.png and .pdf in ``folder``."""
    parts = []
    for device, rows in load(results).groupby("device"):
        parts += [f"# Benchmarks on {_machine(rows)}", "", _commits(rows), ""]
        sections = [_ratios(rows), _layers(rows), _models(rows), _nodes(rows), _peak_memory(rows)]
        sections += [_growth(rows), _startup(rows)]
        if device == "cpu":  # the targets are the CPU's
            table = _targets(rows)
            (results / "targets.md").write_text(table + "\n")
            sections.insert(0, "## Targets\n\n" + table)
        parts += [section + "\n" for section in sections if section]
        suffix = "" if device == "cpu" else f"_{device}"
        figure = times(rows)
        if figure is not None:
            save(figure, folder, f"benchmarks_times{suffix}")
    (results / "summary.md").write_text("\n".join(parts))


def _machine(rows: Table) -> str:
    """The machine that measured them all.

    Raises:
        ValueError: there were several: their milliseconds cannot stand in one table. Where memory
            was measured matters less.
    """
    rows = rows[rows["unit"] != "MiB"] if (rows["unit"] != "MiB").any() else rows
    machines = rows[["gpu", "cpu", "cores", "system", "torch"]].drop_duplicates()
    if len(machines) > 1:
        raise ValueError(
            f"results of {len(machines)} machines in one folder, must be of one (--force measures "
            f"all of them here): {machines.to_dict('records')}"
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
    numbers = table.select_dtypes("number").columns
    table[numbers] = table[numbers].map(lambda v: "" if np.isnan(v) else f"{v:.2f}").astype(object)
    return _markdown(table, index=False)


def _ratios(rows: Table) -> str:
    """Speed-up over the recursion: a line a competitor, a column a batch."""
    rows = rows[rows["what"].isin(LAYER) & ~is_growth(rows)]
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
        + _markdown(pd.DataFrame(means).fillna(""))
    )


def _layers(rows: Table) -> str:
    """Forward + backward at each batch: first layer / inner layer, as median and spread."""
    parts = []
    rows = rows[rows["what"].isin(LAYER) & ~is_growth(rows)]
    for batch, here in rows.groupby("batch"):
        spread = ((here["p90"] - here["p10"]) / here["median"]).median()
        parts += [
            f"## Layer, forward + backward, batch {batch}, ms (first layer / inner layer)\n",
            f"Medians of {here['rounds'].min()} rounds; the 10th to 90th percentile span "
            f"{spread:.0%} of them (median over the table).\n",
            _markdown(_pairs(here)),
            "",
        ]
    return "\n".join(parts)


def _pairs(rows: Table) -> Table:
    """Shapes down, competitors across, "first / inner" in the cells."""
    medians = rows.set_index(["what", "shape", "label"])["median"].to_dict()
    shapes, labels = (list(dict.fromkeys(rows[name])) for name in ("shape", "label"))

    def cell(shape: str, label: str) -> str:
        return " / ".join(_digits(medians.get((what, shape, label), np.nan)) for what in LAYER)

    cells = {label: [cell(shape, label) for shape in shapes] for label in labels}
    return pd.DataFrame(cells, index=pd.Index(shapes, name="shape"))


def _models(rows: Table) -> str:
    parts = []
    for what, title in MODELS.items():
        here = rows[(rows["what"] == what) & ~rows["competitor"].isin(NODES)]
        if len(here):
            wide = here.pivot_table(index="shape", columns="label", values="median", sort=False)
            parts += [f"## Autoencoder: {title}\n", _markdown(wide.map(_digits)), ""]
    return "\n".join(parts)


def _nodes(rows: Table) -> str:
    """What learned functions on hidden nodes cost: a line a width and batch, times SiLU's."""
    here = rows[rows["competitor"].isin(NODES)]
    if here.empty:
        return ""
    case = ["what", "shape", "batch", "unit"]
    wide = here.pivot_table(index=case, columns="label", values="median", sort=False)
    for settings in ("", " + settings"):
        wide[f"times SiLU's{settings}"] = (
            wide[f"shared KAN{settings}"] / wide[f"MLP, SiLU{settings}"]
        )
    return (
        "## Shared KAN: a training step beside that of the same network with SiLU\n\nImages of 784 "
        "pixels, one hidden layer on each side; the shape ends with its width. Code size 9.\n\n"
        + _markdown(wide.map(_digits).reset_index(), index=False)
    )


def _peak_memory(rows: Table) -> str:
    """Peak memory at 224 x 224 x 3, and how many times that of a training step."""
    own = rows[rows["source"].str.startswith("peak_memory")]
    if own.empty:
        return ""
    here = own.set_index("what")["median"]
    here.index = here.index.str.removeprefix("memory of ")
    table = pd.DataFrame({"MiB": here, "of a training step": here / here["training step"]})
    return (
        "## Pure KAN, images of 224 x 224 x 3, code size 16: peak memory\n\n"
        "16 images to train on, 128 to test on; the images themselves are not counted. "
        f"Measured on {own['cpu'].iloc[0]}.\n\n" + _markdown(table.map(_digits))
    )


def _growth(rows: Table) -> str:
    """The grid sizes from which on the sparse formulation wins."""
    sweep = rows[is_growth(rows)]
    lines = []
    for shape, here in sweep.groupby("shape", sort=False):
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
    if not lines:
        return ""
    return (
        "## Sparse against dense\n\nThe smallest of the measured grid sizes from which on the "
        "sparse formulation beats the layer (inner layer, 784 inputs, batch 64, order 3).\n\n"
        + _markdown(pd.DataFrame(lines), index=False)
    )


def _from_where(rows: Table, label: str) -> str:
    """The grid size from which on "sparse" needs less than ``label`` does."""
    wide = rows.pivot_table(index="grid_size", columns="label", values="median")
    if label not in wide or "sparse" not in wide:
        return ""
    loses = wide.index[wide["sparse"] >= wide[label]]
    wins = wide.index[wide.index > (loses.max() if len(loses) else 0)]
    return f"{wins.min()}" if len(wins) else f"beyond {wide.index.max()}"


def _startup(rows: Table) -> str:
    lines = []
    for what, title in STARTUP.items():
        here = rows[rows["what"] == what]
        if len(here):
            costs = (f"{r.competitor} {_digits(r.median)} {r.unit}" for r in here.itertuples())
            lines += [f"## {title}", "", f"{', '.join(costs)}.", ""]
    return "\n".join(lines)


def _digits(value: float) -> str:
    """Three significant digits."""
    return "" if np.isnan(value) else f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def _markdown(table: Table, *, index: bool = True) -> str:
    return table.to_markdown(index=index, disable_numparse=True)
