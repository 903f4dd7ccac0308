"""KANs against their rivals: who is compared, and what is said."""

from typing import Any

import pandas as pd
import pytest

from kanlib.interpretability.comparisons import MEASURES, compare, verdicts
from kanlib.interpretability.tables import least_kept

PAIR = ["rival_model", "measure"]


def changed(analyses, field, values):
    """The analyses with other values of a field."""
    return [
        analysis.model_copy(update={field: value})
        for analysis, value in zip(analyses, values, strict=True)
    ]


def of(analysis, **changes):
    """The analysis as one of another run."""
    return analysis.model_copy(update={"run": analysis.run.model_copy(update=changes)})


def test_the_verdict_is_that_of_the_interval_of_the_difference(found):
    analyses = changed(found, "probe", [0.9, 0.91, 0.5, 0.51, 0.9, 0.91, 0.7, 0.8])
    rows = compare(analyses).set_index(PAIR)
    assert rows.loc[("mlp", "probe"), "verdict"] == "better"
    assert rows.loc[("mlp", "probe"), "difference"] == pytest.approx(0.4)
    assert rows.loc[("mlp", "probe"), "pairs"] == 2
    assert rows.loc[("conv", "probe"), "verdict"] == "undecided"


def test_smaller_is_better_where_it_is(found):
    analyses = changed(found, "test_mse", [0.1, 0.11, 0.2, 0.21, 0.1, 0.1, 0.1, 0.1])
    rows = compare(analyses).set_index(PAIR)
    assert rows.loc[("mlp", "test_mse"), "verdict"] == "better"


def test_kans_are_held_against_the_rivals_on_every_measure(found):
    rows = compare(found)
    assert set(rows["kan_model"]) == {"kan-pure"}
    pairs = rows[["rival_model", "rival_match_parameters"]].drop_duplicates()
    assert [*pairs.itertuples(index=False, name=None)] == [
        ("mlp", True),
        ("spline-mlp", True),
        ("conv", False),
    ]
    assert len(rows) == 3 * len(MEASURES)
    names = dict(zip(rows["rival_model"], rows["rival"], strict=True))
    assert names["mlp"] == "MLP, same size, learning rate 0.01, epochs 1"


def test_what_an_experiment_has_in_common_is_not_in_its_labels(found):
    rows = compare(found, {"learning_rate": 0.01, "epochs": 1})
    assert set(rows["kan"]) == {"pure KAN"}
    assert set(rows["rival"]) == {"MLP, same size", "Spline MLP, same size", "CNN"}


def test_what_cannot_be_compared_is_named(found):
    rows: Any = compare(found).set_index(PAIR)["verdict"]
    assert rows[("conv", "gini")] == rows[("conv", "weights")] == "not measured"
    assert rows[("mlp", "weights")] in ("better", "worse", "undecided")
    assert set(rows["spline-mlp"]) == {"no rival"}
    apart: Any = compare([found[0], found[3]]).set_index(PAIR)  # seeds 0 and 1
    assert set(apart["verdict"]["mlp"]) == {"no common seed"}
    assert apart["difference"].isna().all() and set(apart["pairs"]) == {0}


def test_weights_are_compared_at_the_error_of_the_worse(found):
    row = compare([found[0], found[2]]).set_index(PAIR).loc[("mlp", "weights")]
    error = 1.1 * max(found[0].test_mse, found[2].test_mse)
    values = [least_kept(a.pruning["spread"], error, "numbers") for a in (found[0], found[2])]
    assert [row["kan_value"], row["rival_value"]] == pytest.approx(values)


def test_other_analyses_change_no_comparison(found):
    alone = compare(found)
    others = [
        of(found[2], hidden=9, match_parameters=False),  # no rival: it has another size
        of(found[4], match_parameters=True),
        of(found[2], bottleneck=4),
        of(found[4], dataset="mnist"),
    ]
    pd.testing.assert_frame_equal(compare([*others, *found]), alone)


def test_a_second_rival_of_a_kind_is_compared_too(found):
    rows: Any = compare([*found, of(found[4], output="linear"), of(found[5], output="linear")])
    cnns = rows[rows["rival_model"] == "conv"]
    assert cnns["rival"].nunique() == 2 and len(cnns) == 2 * len(MEASURES)


def test_two_models_with_one_label_are_refused(found):
    both = [*found, of(found[0], output="tanh")]
    with pytest.raises(ValueError, match="output"):
        compare(both, {"output": "tanh", "learning_rate": 0.01, "epochs": 1})


def test_without_a_kan_there_is_nothing_to_compare(found):
    with pytest.raises(ValueError, match="analyses: 6"):
        compare(found[2:])


def summed_up(found, by_measure):
    """The verdicts on the pure KAN against the MLP, given those on each measure."""
    rows: Any = compare(found)
    pair = rows[rows["rival_model"] == "mlp"]
    (row,) = verdicts(pair.assign(verdict=pair["measure"].map(by_measure))).to_dict("records")
    return row


@pytest.mark.parametrize(
    ("several", "expected"),
    [
        (("better", "undecided", "not measured"), "1 better, 1 undecided"),
        (("undecided", "worse", "undecided"), "1 worse, 2 undecided"),
        (("better", "worse", "undecided"), "1 better, 1 worse, 1 undecided"),
        (("not measured", "no rival", "no common seed"), "not compared"),
    ],
)
def test_verdicts_on_several_measures_are_counted_not_merged(found, several, expected):
    code = [name for name, measure in MEASURES.items() if measure.about == "code"]
    assert summed_up(found, dict(zip(code, several, strict=True)))["code"] == expected


def test_a_pair_is_summed_up(found):
    row = summed_up(
        found,
        {
            "test_mse": "worse",
            "gini": "better",
            "weights": "undecided",
            "probe": "undecided",
            "information": "undecided",
            "information_most": "not measured",
        },
    )
    assert row["error"] == "worse"
    assert (row["edges"], row["code"]) == ("1 better, 1 undecided", "2 undecided")
    assert row["interpretability"] == "1 better, 3 undecided"
    counted = ("better", "worse", "undecided", "not_compared")
    assert [row[name] for name in counted] == [1, 0, 3, 1]


def test_every_pair_has_its_own_verdicts(found):
    both = [*found, of(found[0], hidden=7), of(found[1], hidden=7)]
    rows = verdicts(compare(both))
    assert len(rows) == 2 * 3
    assert rows["rival_model"].tolist() == ["mlp", "spline-mlp", "conv"] * 2
    assert set(rows[rows["rival_model"] == "spline-mlp"]["interpretability"]) == {"not compared"}
