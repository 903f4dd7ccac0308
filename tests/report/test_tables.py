"""Tables: their shape, and the three files of each."""

import re

import pandas as pd

from kanlib.report import tables

SUMMARY = pd.DataFrame(
    {"label": ["KAN", "KAN", "CNN"], "bottleneck": [9, 4, 9], "test_mse": [0.123456, 0.2, 0.3]}
)


def test_models_are_rows_in_their_order_and_bottlenecks_increase():
    table = tables.by_bottleneck(SUMMARY, "test_mse")
    assert table.index.tolist() == ["KAN", "CNN"] and table.columns.tolist() == [4, 9]
    assert table.loc["KAN"].tolist() == [0.2, 0.123456]
    assert pd.isna(table.loc["CNN", 4])


def test_a_table_is_written_exactly_as_csv_and_rounded_for_readers(tmp_path):
    table = tables.by_bottleneck(SUMMARY, "test_mse")
    csv, markdown, latex = tables.save(table, tmp_path / "new", "mse", decimals=3)
    assert pd.read_csv(csv, index_col="model").loc["KAN", "9"] == 0.123456
    assert markdown.read_text().splitlines()[2].replace(" ", "") == "|KAN|0.200|0.123|"
    assert "0.123" in latex.read_text() and r"\toprule" in latex.read_text()
    assert sorted(p.name for p in csv.parent.iterdir()) == ["mse.csv", "mse.md", "mse.tex"]


def test_latex_has_no_bare_underscore_in_header_or_row_names(tmp_path):
    table = pd.DataFrame({"test_mse": ["a_b"]}, index=pd.Index(["50% & c_d"], name="row_name"))
    latex = tables.save(table, tmp_path, "escaped")[2].read_text()
    assert r"50\% \& c\_d & a\_b" in latex
    assert not re.search(r"(?<!\\)[_%]", latex)


def test_a_wide_table_is_turned_on_its_side():
    wide = pd.DataFrame([range(9)], index=["KAN"])
    assert tables.upright(wide).shape == (9, 1)
    assert tables.upright(wide.iloc[:, :8]).shape == (1, 8)
