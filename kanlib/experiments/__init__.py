"""Runs, their records, and grids of runs."""

from kanlib.experiments.frames import METRICS, load_histories, load_records
from kanlib.experiments.grid import Experiment, find_experiment, load_experiment
from kanlib.experiments.parameters import read_parameters
from kanlib.experiments.record import Record, load_arrays, load_record, save_record
from kanlib.experiments.run import Run

__all__ = [
    "METRICS",
    "Experiment",
    "Record",
    "Run",
    "find_experiment",
    "load_arrays",
    "load_experiment",
    "load_histories",
    "load_record",
    "load_records",
    "read_parameters",
    "save_record",
]
