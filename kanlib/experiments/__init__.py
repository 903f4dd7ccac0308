"""Runs, their records, and grids of runs."""

import kanlib.extras  # noqa: F401
from kanlib.experiments.execution import Result, execute
from kanlib.experiments.frames import (
    SETTINGS,
    histories,
    measured,
    step_log,
    step_logs,
    to_frame,
    watched_loss,
)
from kanlib.experiments.grid import Experiment, find_experiment, load_experiment
from kanlib.experiments.measurement import splits_of
from kanlib.experiments.parameters import read_parameters, to_yaml
from kanlib.experiments.record import (
    Record,
    load_arrays,
    load_record,
    load_records,
    save_record,
)
from kanlib.experiments.rehearsal import check_run
from kanlib.experiments.run import Run
from kanlib.experiments.weights import has_weights, load

__all__ = [
    "SETTINGS",
    "Experiment",
    "Record",
    "Result",
    "Run",
    "check_run",
    "execute",
    "find_experiment",
    "has_weights",
    "histories",
    "load",
    "load_arrays",
    "load_experiment",
    "load_record",
    "load_records",
    "measured",
    "read_parameters",
    "save_record",
    "splits_of",
    "step_log",
    "step_logs",
    "to_frame",
    "to_yaml",
    "watched_loss",
]
