"""Tables: their shape, and the three files of each."""

import re

import pandas as pd
import pytest

from kanlib.experiments import Run
from kanlib.report import tables
from kanlib.report.labels import labelled

SUMMARY = pd.DataFrame(
    {
        "label": ["AE-KAN", "AE-KAN", "CNN"],
        "bottleneck": [9, 4, 9],
        "test_mse": [0.123456, 0.2, 0.3],
    }
)


def header(markdown: str) -> list[str]:
    return [cell.strip() for cell in markdown.splitlines()[0].strip("|").split("|")]


def test_models_are_rows_in_their_order_and_code_sizes_increase():
    table = tables.by_bottleneck(SUMMARY, "test_mse")
    assert table.index.tolist() == ["AE-KAN", "CNN"] and table.columns.tolist() == [4, 9]
    assert table.loc["AE-KAN"].tolist() == [0.2, 0.123456]
    assert pd.isna(table.loc["CNN", 4])


def test_a_table_by_size_needs_its_metric_once_a_model_and_size():
    with pytest.raises(ValueError, match="metric='accuracy'"):
        tables.by_bottleneck(SUMMARY, "accuracy")
    with pytest.raises(ValueError, match="summary"):
        tables.by_bottleneck(pd.concat([SUMMARY, SUMMARY]), "test_mse")


def test_a_table_is_written_exactly_as_csv_and_rounded_for_readers(tmp_path):
    table = tables.by_bottleneck(SUMMARY, "test_mse")
    csv, markdown, latex = tables.save(table, tmp_path / "new", "mse", decimals=3)
    assert pd.read_csv(csv, index_col="model").loc["AE-KAN", "9"] == 0.123456
    text = markdown.read_text()
    assert header(text) == ["model", "4", "9"]
    assert text.splitlines()[2].replace(" ", "") == "|AE-KAN|0.200|0.123|"
    assert "0.123" in latex.read_text() and r"\toprule" in latex.read_text()
    assert "code size & 4 & 9" in latex.read_text()
    assert sorted(p.name for p in csv.parent.iterdir()) == ["mse.csv", "mse.md", "mse.tex"]


def test_programs_read_columns_and_readers_read_words(tmp_path):
    runs = [Run(model="mlp", hidden=32).model_dump(), Run().model_dump()]
    table = labelled(pd.DataFrame(runs).assign(test_mse=0.5, metric="knn_accuracy"))
    csv, markdown, _ = tables.save(table.set_index("label"), tmp_path, "runs")
    place = ["label", "dataset", "model", "bottleneck", "seed", "preset"]
    own = ["hidden", "match_parameters"]  # other settings are the default in both rows
    assert list(pd.read_csv(csv)) == [*place, *own, "test_mse", "metric"]
    assert header(markdown.read_text()) == [
        "model",
        "data",
        "code size",
        "seed",
        "test error",
        "metric",
    ]
    assert "MLP, hidden width 32" in markdown.read_text()
    assert "3-NN accuracy" in markdown.read_text()


def test_latex_has_no_bare_underscore_in_header_or_row_names(tmp_path):
    table = pd.DataFrame({"a_b %": ["a_b"]}, index=pd.Index(["50% & c_d"], name="row_name"))
    latex = tables.save(table, tmp_path, "escaped")[2].read_text()
    assert r"50\% \& c\_d & a\_b" in latex
    assert not re.search(r"(?<!\\)[_%]", latex)


@pytest.mark.parametrize(
    ("name", "markdown", "latex"),
    [
        ("$5 or $6", r"\$5 or \$6", r"\$5 or \$6"),
        ("_mine_", r"\_mine\_", r"\_mine\_"),
        ("snake_case", "snake_case", r"snake\_case"),
        ("50%", "50%", r"50\%"),
        ("a|b", r"a\|b", r"a\textbar{}b"),
        ("<b>&", r"\<b>&", r"\textless{}b\textgreater{}\&"),
        ("two\n\nlines", "two lines", "two lines"),
        ("[a](b) *c*", r"\[a](b) \*c\*", "{[}a](b) {*}c{*}"),
        ("* a", r"\* a", "{*} a"),
        ("&lt; &#60; A&B", r"\&lt; \&#60; A&B", r"\&lt; \&\#60; A\&B"),
        ("~a~", r"\~a\~", r"\textasciitilde a\textasciitilde "),
        ('"quoted"', '"quoted"', '"quoted"'),
        ("3.10", "3.10", "3.10"),
        ("1e5", "1e5", "1e5"),
        ("NA", "NA", "NA"),
        ("\N{HEBREW LETTER ALEF}", "\N{HEBREW LETTER ALEF}", "\N{HEBREW LETTER ALEF}"),
        ("w" * 300, "w" * 300, "w" * 300),
    ],
)
def test_a_name_is_shown_as_it_is(tmp_path, name, markdown, latex):
    table = pd.DataFrame({"model": [name], "x": [0.5]}, index=pd.Index([name], name="row"))
    paths = tables.save(table, tmp_path, "named")
    read = pd.read_csv(paths[0], index_col="row", dtype=str, keep_default_na=False)
    assert read.loc[name, "model"] == name
    *_, line = paths[1].read_text(encoding="utf-8").splitlines()
    assert line.split(" |")[0].strip("| ") == markdown
    texts = paths[2].read_text(encoding="utf-8").splitlines()
    (line,) = [text for text in texts if text.endswith(r"0.5000 \\")]
    assert line == rf"{latex} & {latex} & 0.5000 \\"


def test_tables_are_utf8_wherever_they_are_written(tmp_path, monkeypatch):
    monkeypatch.setattr("locale.getencoding", lambda: "ascii")
    table = pd.DataFrame({"x": [0.5, None]}, index=["\u00e4", "b"])
    for path in tables.save(table, tmp_path, "named"):
        assert "\u00e4" in path.read_bytes().decode()


def test_a_wide_table_is_turned_on_its_side(tmp_path):
    wide = pd.DataFrame([range(9)], index=["AE-KAN"])
    assert tables.upright(wide).shape == (9, 1)
    assert tables.upright(wide.iloc[:, :8]).shape == (1, 8)
    sizes = pd.DataFrame({"label": "CNN", "bottleneck": range(1, 10), "test_mse": 0.5})
    turned = tables.upright(tables.by_bottleneck(sizes, "test_mse"))
    _, markdown, _ = tables.save(turned, tmp_path, "turned")
    assert header(markdown.read_text()) == ["code size", "CNN"]


def test_a_notebook_shows_words_and_percent():
    table = pd.DataFrame(
        {"label": ["a", "b", "c"], "low": [0.105, -0.02, float("nan")], "test_mse": [1, 2, 3]}
    )
    made = tables.shown(table, "label", ["low"])
    assert made.index.tolist() == ["a", "b", "c"]
    assert (made.index.name, made.columns.name) == (None, "model")
    assert made["95% from"].tolist() == ["+10.5%", "\N{MINUS SIGN}2.0%", "–"]
    assert made["test error"].tolist() == [1, 2, 3]
    assert table["low"].to_numpy()[0] == 0.105


def test_a_notebook_shows_names_as_text():
    page = tables.shown(pd.DataFrame({"label": ['<b>"cat"</b> & <script>']}), "label").to_html()
    assert '&lt;b&gt;"cat"&lt;/b&gt; &amp; &lt;script&gt;' in page
    assert "<b>" not in page and "<script>" not in page


def test_a_long_table_is_shown_in_part():
    table, few = (pd.DataFrame({"x": range(rows)}) for rows in (31, 10))
    some = tables.short(table)
    assert len(some) == 10
    assert (some.index[0], some.index[-1]) == (0, 30)
    assert some.index.is_monotonic_increasing and some.index.is_unique
    assert tables.short(few).equals(few)
