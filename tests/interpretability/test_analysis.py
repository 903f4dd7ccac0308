"""Files of analyses: whole, of the right run, and readable later."""

import json

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from pydantic import ValidationError

from kanlib.interpretability import Analysis, load_analysis, save_analysis
from kanlib.interpretability.analysis import analysis_path


def test_an_analysis_and_its_arrays_survive_their_files(found, tmp_path):
    saved = save_analysis(found[0], tmp_path, {"codes": np.eye(3)})
    run = found[0].run
    assert saved.path == tmp_path / "interpretability/digits/kan-pure" / run.path("").name
    again = load_analysis(run, tmp_path)
    assert again == saved and again.model_dump() == found[0].model_dump()
    assert_array_equal(again.arrays()["codes"], np.eye(3))


def test_an_analysis_without_a_file_has_no_arrays(found):
    fresh = Analysis(**dict(found[0]))
    with pytest.raises(ValueError, match="seed=0"):
        fresh.arrays()


def test_an_analysis_from_before_schema_numbers_is_read(found, tmp_path):
    path = save_analysis(found[0], tmp_path, {}).path
    older = json.loads(path.read_text())
    del older["schema_version"]
    path.write_text(json.dumps(older))
    assert load_analysis(found[0].run, tmp_path).model_dump() == found[0].model_dump()


@pytest.mark.parametrize(
    ("field", "value"), [("schema_version", 99), ("test_mse", float("nan")), ("information", ())]
)
def test_a_value_out_of_range_is_refused(found, field, value):
    with pytest.raises(ValidationError, match=field):
        Analysis(**dict(found[0]) | {field: value})


def test_a_damaged_or_strange_file_is_refused_by_name(found, tmp_path):
    path = save_analysis(found[0], tmp_path, {}).path
    path.write_text(path.read_text()[:-20])
    with pytest.raises(ValueError, match=path.name):
        load_analysis(found[0].run, tmp_path)
    path.write_text(found[1].model_dump_json())
    with pytest.raises(ValueError, match="seed=1"):
        load_analysis(found[0].run, tmp_path)


def test_no_file_is_an_error_of_its_own(found, tmp_path):
    run = found[0].run
    with pytest.raises(FileNotFoundError, match=analysis_path(run, tmp_path).name):
        load_analysis(run, tmp_path)
