"""Experiment files become runs; the guard against misspelt notebook parameters."""

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from kanlib.experiments import (
    Run,
    find_experiment,
    load_experiment,
    read_parameters,
    to_yaml,
)


@pytest.fixture
def experiment(tmp_path):
    """Writes an experiment file; returns its path."""

    def write(text: str, name: str = "mine"):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text)
        return path

    return write


def grid(*entries: str, common: str = "") -> str:
    lines = ["title: Mine", "about: What is asked.", *([f"common: {common}"] if common else [])]
    return "\n".join([*lines, "grid:", *(f"  - {entry}" for entry in entries)])


def test_an_entry_stands_for_all_combinations_in_the_order_of_the_file(experiment):
    path = experiment(
        grid(
            "{model: [kan, pca], bottleneck: [4, 9]}",
            "{model: kan-pure, basis: [bspline, chebyshev], learning_rate: [0.01, null]}",
            "{model: conv, seed: [1, 0]}",
            common="{dataset: mnist, preset: authors}",
        )
    )
    mnist: Any = {"dataset": "mnist", "preset": "authors"}
    loaded = load_experiment(path)
    assert (loaded.title, loaded.about, loaded.dataset) == ("Mine", "What is asked.", "mnist")
    assert loaded.runs() == [
        Run(**mnist, model="kan", bottleneck=4),
        Run(**mnist, model="kan", bottleneck=9),
        Run(**mnist, model="pca", bottleneck=4),
        Run(**mnist, model="pca", bottleneck=9),
        Run(**mnist, model="kan-pure", learning_rate=0.01),
        Run(**mnist, model="kan-pure"),
        Run(**mnist, model="kan-pure", basis="chebyshev", learning_rate=0.01),
        Run(**mnist, model="kan-pure", basis="chebyshev"),
        Run(**mnist, model="conv", seed=1),
        Run(**mnist, model="conv", seed=0),
    ]


def test_an_entry_goes_over_what_is_common(experiment):
    path = experiment(grid("{seed: 2}", "{epochs: 3}", common="{seed: [0, 1], epochs: 7}"))
    assert load_experiment(path).runs() == [
        Run(seed=2, epochs=7),
        Run(seed=0, epochs=3),
        Run(seed=1, epochs=3),
    ]


def test_a_run_listed_twice_is_made_once(experiment):
    path = experiment(grid("{seed: [0, 1, 0]}", "{seed: [1, 2], model: kan}", "{}"))
    assert load_experiment(path).runs() == [Run(seed=0), Run(seed=1), Run(seed=2)]


@pytest.mark.parametrize(
    ("entries", "named"),
    [
        (["{model: [kan, pca]}"], "seed 0"),
        (["{seed: [2, 0]}", "{model: pca, seed: 1}"], "seeds 0 to 2"),
        (["{seed: [7, 1, 3]}", "{model: pca, seed: 1}"], "seeds 1, 3, 7"),
    ],
)
def test_a_heading_names_the_seeds_of_all_runs(experiment, entries, named):
    assert load_experiment(experiment(grid(*entries))).heading == f"Mine ({named})"


@pytest.mark.parametrize(
    ("text", "number"),
    [("1e-3", 1e-3), ("1E-3", 1e-3), ("+1.5e-1", 0.15), (".5", 0.5), ("5.", 5.0), ("1", 1.0)],
)
def test_a_number_is_read_as_people_write_it(experiment, text, number):
    (run,) = load_experiment(experiment(grid(f"{{learning_rate: {text}}}"))).runs()
    assert run.learning_rate == number


def test_a_file_may_have_anchors_a_byte_order_mark_and_the_other_ending(experiment):
    text = "title: Ä\nabout: a\ncommon: &c {epochs: 3}\ngrid: [{<<: *c, seed: 1}]"
    path = experiment(text).rename(experiment(text).with_suffix(".yml"))
    path.write_bytes(text.encode("utf-8-sig"))
    assert load_experiment(find_experiment(str(path))).runs() == [Run(seed=1, epochs=3)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("titel: x\nabout: y\ngrid: []", "titel='x'"),
        ("title: x\nabout: y\ngrid: []", r"grid=\[\]"),
        ("title: x\nabout: y\nalso: [digits]\ngrid: [{}]", r"also=\['digits'\]"),
        (grid("{bottlneck: 9}"), "bottlneck=9"),
        (grid("{}", common="{sed: 9}"), "sed=9"),
        (grid("{bottleneck: [9, 0]}"), "bottleneck=0"),
        ("title: x\nabout: y\nrecords: false\ngrid: [{}]", "records=False"),
        (grid("{model: pcs}"), "model='pcs'"),
        (grid("{seed: yes}"), "seed='yes'"),
        (grid("{match_parameters: no, model: mlp}"), "match_parameters='no'"),
        (grid("{epochs: 010}"), "epochs='010'"),  # 8 in YAML 1.1, 10 in YAML 1.2
        (grid("{learning_rate: .nan}"), "learning_rate=nan"),
        (grid("{model: kan, seed: 1, model: pca}"), "model is there twice.*line 4"),
        (grid("{}", common="{seed: 1, 'seed': 2}"), "seed is there twice"),
        ("title: x\nabout: y\ntitle: z\ngrid: [{}]", "title is there twice"),
        (grid("{seed: []}"), r"seed=\[\]"),
        (grid("{model: [kan, mlp], basis: chebyshev}"), "basis=Chebyshev.*model='mlp'"),
        (grid("{dataset: [digits, mnist]}"), r"dataset=\['digits', 'mnist'\]"),
        (grid("{seed: {a: 1}}"), "seed={'a': 1}"),
        (grid("{seed: [[1]]}"), r"seed=\[1\]"),
        (grid("kan"), "grid.0="),
        ("title: {x", "line 1"),
        ("- title", "title, about"),
        ("", "title, about"),
    ],
)
def test_what_is_wrong_with_a_file_is_named_and_so_is_the_file(experiment, text, named):
    path = experiment(text)
    with pytest.raises(ValueError, match=f"(?s){path}: .*{named}"):
        load_experiment(path)


def test_a_missing_file_lists_the_experiments_that_are_there(experiment, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"mnits\.yaml"):
        load_experiment(tmp_path / "mnits.yaml")
    experiment(grid("{}"), "mnist")
    experiment(grid("{}"), "digits")
    with pytest.raises(FileNotFoundError, match=r"mnits\.yaml.* digits, mnist"):
        load_experiment(tmp_path / "mnits.yaml")


def test_papermill_reads_what_it_is_given():
    given = {"rate": 1e-5, "large": 2e20, "plain": 1.5e-7, "pairs": [["tilt", 1e-07], ["x", -3e-9]]}
    given |= {"word": 'a: 1e-5, "[2e-7]\\', "flag": False, "nothing": None, "size": 9}
    assert yaml.safe_load(to_yaml(given)) == given
    assert to_yaml({"rate": 1e-5, "data": "digits"}) == '{"rate": 1.0e-05, "data": "digits"}'


KNOWN = {"bottleneck": int, "seed": int, "device": str | None}


def notebook() -> tuple[dict, set[str]]:
    """The namespace of a notebook after its parameters, and the names there were before."""
    before = {"__name__": "__main__", "helper": len}
    return before | {"bottleneck": 9, "seed": 0, "device": None}, set(before)


def test_a_misspelt_parameter_is_an_error_that_suggests_the_one_meant():
    namespace, before = notebook()
    namespace["bottlneck"] = 34  # as papermill assigns it
    with pytest.raises(ValueError, match=r"bottlneck=34 .*'bottleneck'"):
        read_parameters(namespace, before, KNOWN)
    del namespace["bottlneck"]
    namespace |= {"_": 5, "_dh": [], "math": math}  # private names and modules
    assert read_parameters(namespace, before, KNOWN) == {"bottleneck": 9, "seed": 0, "device": None}
    namespace["xyz"] = 1
    with pytest.raises(ValueError, match=r"xyz=1.*bottleneck, seed, device"):
        read_parameters(namespace, before, KNOWN)


@pytest.mark.parametrize(("name", "value"), [("seed", "0"), ("device", 0)])
def test_a_parameter_of_another_type_is_named(name, value):
    namespace, before = notebook()
    with pytest.raises(TypeError, match=f"{name}={value!r}"):
        read_parameters(namespace | {name: value}, before, KNOWN)


def test_private_names_and_what_papermill_cannot_pass_are_no_parameters():
    namespace, before = notebook()
    namespace |= {"_": 5, "_dh": [], "math": math, "run": Run(), "images": {}, "path": Path()}
    assert read_parameters(namespace, before, KNOWN)["bottleneck"] == 9


PARAMETERS = "bottleneck = 9\nseed = 0\ndevice = None"


@pytest.mark.parametrize(
    "cells",
    [
        ["folder = 'own'", PARAMETERS],
        [PARAMETERS, "folder = 'own'"],
        [PARAMETERS + "\nfolder = 'own'"],
        ["# Parameters\nfolder = 'once'", PARAMETERS, "# Parameters\nseed = 0", "%time 1"],
    ],
)
def test_variables_of_ones_own_are_no_parameters(cells):
    namespace, before = notebook()
    namespace |= {"folder": "own", "seeds": [0, 1], "In": ["", *cells, "read_parameters(x)"]}
    assert read_parameters(namespace, before, KNOWN)["bottleneck"] == 9


@pytest.mark.parametrize(
    "cells",
    [
        [PARAMETERS, "# Parameters\nfolder = 5"],
        [PARAMETERS + "\nbotleneck = 5"],
    ],
)
def test_what_papermill_adds_or_is_nearly_a_parameter_is_refused_in_ipython(cells):
    namespace, before = notebook()
    name = cells[-1].split("\n")[-1].split()[0]
    namespace |= {name: 5, "In": ["", *cells, "read_parameters(x)"]}
    with pytest.raises(ValueError, match=f"{name}=5 is not a parameter"):
        read_parameters(namespace, before, KNOWN)


def test_a_cell_may_be_run_again_in_the_same_notebook():
    cells = """
helper = 1
_before = set(globals())
bottleneck = {size}
parameters = read_parameters(globals(), _before, {{"bottleneck": int}})
history = [0.5]
"""
    namespace: dict = {"read_parameters": read_parameters}
    for size in (9, 34):
        exec(cells.format(size=size), namespace)
        assert namespace["parameters"] == {"bottleneck": size}
