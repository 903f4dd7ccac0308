"""Bad input to records and parameters is refused; the message names the argument or the file."""

from pathlib import Path

import pytest
from records import make_record

from kanlib.experiments import Run, load_arrays, load_record, load_records, read_parameters


@pytest.mark.parametrize("runs", [[], [Run(), Run()]], ids=["none", "one twice"])
def test_no_runs_and_runs_that_are_there_twice_are_refused(runs):
    with pytest.raises(ValueError, match=rf"runs.*\b{len(runs)}\b"):
        load_records(runs, "results")


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"no\.json"):
        load_record("no.json")
    with pytest.raises(FileNotFoundError, match=r"no\.npz"):
        load_arrays(make_record(Run()).at(Path("no.json")))


@pytest.mark.parametrize(
    ("name", "value", "kind"),
    [("fast_cpu", "false", bool), ("root", 5, str | None)],
)
def test_a_parameter_of_another_type_is_named(name, value, kind):
    with pytest.raises(TypeError, match=f"{name}={value!r} "):
        read_parameters({name: value}, [], {name: kind})
