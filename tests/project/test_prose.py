"""Pages and notebooks are plain English: short sentences, one vocabulary, nothing too wide."""

import re
from pathlib import Path

import pytest
from pages import (
    DOCS,
    GENERATED,
    NOTEBOOKS,
    PAGES,
    paragraphs,
    readable,
    sentences,
    table_rows,
    text_of,
    words,
)

LONGEST = 30  # words of a sentence
WIDEST = 100  # characters of a row of a table that a reader sees on GitHub
# Old word -> what it is called now; see docs/glossary.md.
OLD = {
    r"KAN layers alone": "pure KAN",
    r"\bmatched\b(?!-)": "same size",
    r"as large as the KAN": "same size",
    r"[Bb]ottlenecks?\b": "code, code size",
    r"scale kept": "separate scale",
    r"shown ahead": "better",
    r"come out\b.*settings": "reproduce",
    r"authors' code\*|paper's text\*|KAN, (?:paper's text|authors' code)": "AE-KAN",
    r"AE-CNN": "CNN",
    r"test MSE|reconstruction error": "test error",
    r"the paper's KAN\b": "AE-KAN",
}


def long_sentences(path: Path) -> list[str]:
    return [s for s in sentences(text_of(path)) if len(words(s)) > LONGEST]


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_no_sentence_of_a_page_is_long(path):
    assert not long_sentences(path)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_sentence_of_a_notebook_is_long(path):
    assert not long_sentences(path)


@pytest.mark.parametrize("path", PAGES, ids=str)
def test_a_page_has_the_words_of_the_glossary(path):
    text = readable(text_of(path))
    used = {old: new for old, new in OLD.items() if re.search(old, text)}
    assert not used


def test_the_readme_has_at_most_800_words():
    text = re.sub(r"^\|.*\n", "", text_of(Path("README.md")), flags=re.MULTILINE)
    assert sum(len(words(paragraph)) for paragraph in paragraphs(text)) <= 800


@pytest.mark.parametrize("path", [Path("README.md"), *DOCS], ids=str)
def test_no_table_is_wider_than_the_page(path):
    rows = table_rows(GENERATED.sub("", text_of(path)))
    assert not [row for row in rows if len(row) > WIDEST]


def test_the_answers_of_the_readme_have_eight_words():
    answer = re.compile(r"^\| \[\d\d .+?\]\(.+?\) \| (.+?) \|$", re.MULTILINE)
    answers = answer.findall(text_of(Path("README.md")))
    assert len(answers) == 14
    assert not [answer for answer in answers if len(words(answer)) > 8]
