"""Tables: DataFrames in; CSV, Markdown and LaTeX files out."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kanlib.experiments.frames import SETTINGS
from kanlib.experiments.run import Run
from kanlib.files import atomic_file
from kanlib.report.labels import words

# What LaTeX's first encoding shows as other signs, or takes for a part of the command that ends the
# row above; pandas knows the rest.
_TEX = str.maketrans(
    {"<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "[": "{[}", "*": "{*}"}
)


def by_bottleneck(summary: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One row a model, one column a size of the code.

    Args:
        summary: columns label, bottleneck and ``metric``, one row for each pair.
        metric: column to show.

    Returns:
        Index model, the labels in order of appearance; columns the sizes, increasing; NaN where
        there was no run.

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


def shown(table: pd.DataFrame, first: str, percent: Sequence[str] = ()) -> pd.DataFrame:
    """``table`` as a notebook shows it: words for headers, one line of them.

    Args:
        table: whose index does not matter.
        first: the column that comes first, in bold type.
        percent: columns with fractions, which become text: 0.105 is "+10.5%", NaN is "–".
    """
    made = table.copy()
    for name in percent:
        texts = made[name].map("{:+.1%}".format).str.replace("-", "\N{MINUS SIGN}")
        made[name] = texts.where(made[name].notna(), "–")
    return (
        made.set_index(first)
        .rename(columns=words)
        .rename_axis(None)
        .rename_axis(columns=words(first))
    )


def short(table: pd.DataFrame, rows: int = 10) -> pd.DataFrame:
    """At most ``rows`` rows of ``table``: its first, its last, and as evenly as can be between."""
    if len(table) <= rows:
        return table
    return table.iloc[np.linspace(0, len(table) - 1, rows).round().astype(int)]


def save(table: pd.DataFrame, folder: str | Path, stem: str, decimals: int = 4) -> list[Path]:
    """Write a table for programs, <stem>.csv, and two for readers, <stem>.md and <stem>.tex.

    The CSV has its columns under their own names, and all digits (see ``for_programs``). The other
    two are rounded, and their headers are words (see ``for_readers``).

    Args:
        table: its index is written too.
        folder: made if missing.
        stem: name without ending.
        decimals: digits after the point in Markdown and LaTeX.

    Returns:
        The paths.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shown = for_readers(table).map(_on_one_line)
    shown.index = shown.index.map(_on_one_line)
    style: Any = shown.style  # its type hides the writer
    markdown = shown.map(_marked_up).astype(object).where(shown.notna(), None)
    markdown.columns = pd.Index(map(_marked_up, markdown), name=markdown.columns.name)
    markdown.index = markdown.index.map(_marked_up)
    columns = (markdown.index, *(markdown.iloc[:, at] for at in range(markdown.shape[1])))
    texts = [at for at, cells in enumerate(columns) if any(isinstance(c, str) for c in cells)]
    contents = {
        ".csv": for_programs(table).to_csv(lineterminator="\n"),
        ".md": markdown.to_markdown(
            floatfmt=f".{decimals}f",
            missingval="–",
            disable_numparse=texts,  # a name such as 3.10 is no number
        )
        + "\n",
        ".tex": style.format(precision=decimals, na_rep="--", escape="latex")
        .format_index(escape="latex", axis=0)
        .format_index(escape="latex", axis=1)
        .format_index_names(escape="latex")
        .to_latex(hrules=True)
        .translate(_TEX),
    }
    paths = []
    for ending, text in contents.items():
        paths.append(folder / f"{stem}{ending}")
        with atomic_file(paths[-1]) as temporary:
            temporary.write_bytes(text.encode())
    return paths


def _marked_up(cell: Any) -> Any:
    """Text that Markdown shows as it is; what is no text is kept."""
    if not isinstance(cell, str):
        return cell
    return re.sub(r"([\\|<*$`~\[]|&(?=#?\w+;)|(?<!\w)_|_(?!\w))", r"\\\1", cell)


def _on_one_line(cell: Any) -> Any:
    """Text without line breaks, which would end a row; what is no text is kept."""
    return " ".join(cell.split()) if isinstance(cell, str) else cell


def for_programs(table: pd.DataFrame) -> pd.DataFrame:
    """Without settings that are the default in all rows, so that a new one changes no old table."""
    plain = Run().model_dump(include={*SETTINGS} - {"model", "preset", "match_parameters"})

    def tells(column: str) -> bool:
        """Whether a column is no setting, or is not the default somewhere."""
        name = column.removeprefix("kan_").removeprefix("rival_")  # of a comparison
        if name not in plain:
            return True
        values = table[column]
        return bool(values.notna().any() if plain[name] is None else (values != plain[name]).any())

    silent = [column for column in table if isinstance(column, str) and not tells(column)]
    return table.drop(columns=silent)


def for_readers(table: pd.DataFrame) -> pd.DataFrame:
    """Without the settings that labels name, and with words for headers."""
    hidden: set[str] = set()
    if "label" in (table.index.name, *table):
        hidden |= set(SETTINGS)
    if "kan" in (table.index.name, *table):  # of a comparison
        hidden |= {f"{who}_{name}" for who in ("kan", "rival") for name in SETTINGS}
    shown = table.drop(columns=[name for name in table if name in hidden])
    if "metric" in shown:
        shown["metric"] = shown["metric"].map(words)
    shown.columns = pd.Index(map(_header, shown), name=_header(table.columns.name))
    shown.index.names = [_header(name) for name in table.index.names]
    return shown


def _header(name: Any) -> Any:
    """Words for the name of a column; sizes of the code, and no name at all, are kept."""
    return words(name) if isinstance(name, str) else name
