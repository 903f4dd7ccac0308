"""Tables: DataFrames in; CSV, Markdown and LaTeX files out."""

from pathlib import Path
from typing import Any

import pandas as pd

from kanlib.files import atomic_file


def by_bottleneck(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a model, one column a bottleneck.

    Args:
        summary: columns label, bottleneck and ``metric``, one row for each pair.
        metric: column to show.

    Returns:
        Index label, in order of appearance; columns the bottlenecks, increasing; NaN where there
        was no run.

    Raises:
        ValueError: ``metric`` is no column, or a pair has several rows.
    """
    if metric not in summary:
        raise ValueError(f"metric={metric!r} must be a column of summary, {list(summary)}")
    if summary.duplicated(["label", "bottleneck"]).any():
        raise ValueError(
            "summary has several rows for a label and bottleneck; must have one, as "
            "kanlib.report.statistics.summarise makes it"
        )
    table = summary.pivot(index="label", columns="bottleneck", values=metric)
    return table.loc[summary["label"].unique()].rename_axis(index="model")


def upright(table: pd.DataFrame, widest: int = 8) -> pd.DataFrame:
    """``table``, or its transpose where it has more than ``widest`` columns."""
    return table.T if table.shape[1] > widest else table


def save(table: pd.DataFrame, folder: str | Path, stem: str, decimals: int = 4) -> list[Path]:
    """Write <stem>.csv with all digits, <stem>.md and <stem>.tex rounded; returns their paths.

    Args:
        table: its index is written too.
        folder: made if missing.
        stem: name without ending.
        decimals: digits after the point in Markdown and LaTeX.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    form = f".{decimals}f"
    style: Any = table.style  # its type hides the writer
    texts = {
        ".csv": table.to_csv(lineterminator="\n"),
        ".md": table.astype(object)
        .where(table.notna(), None)
        .to_markdown(floatfmt=form, missingval="–")
        + "\n",
        ".tex": style.format(precision=decimals, na_rep="--", escape="latex")
        .format_index(escape="latex", axis=0)
        .format_index(escape="latex", axis=1)
        .format_index_names(escape="latex")
        .to_latex(hrules=True),
    }
    paths = []
    for ending, text in texts.items():
        paths.append(folder / f"{stem}{ending}")
        with atomic_file(paths[-1]) as temporary:
            temporary.write_text(text)
    return paths
