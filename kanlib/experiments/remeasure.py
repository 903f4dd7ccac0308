"""``python -m kanlib.experiments.remeasure EXPERIMENT``: younger metrics for older records.

A record lacks the metrics that were written after it. Where its trained weights are kept, they can
be measured now, without training.
"""

import argparse
import sys

from kanlib.data.datasets import load_images
from kanlib.data.images import Images
from kanlib.experiments.environment import environment
from kanlib.experiments.grid import find_experiment, load_experiment
from kanlib.experiments.measurement import measure, metric_name, splits_of
from kanlib.experiments.record import SCHEMA, Record, load_records
from kanlib.experiments.weights import has_weights, load
from kanlib.files import write_together
from kanlib.training.evaluation import METRICS


def lacking(record: Record) -> list[str]:
    """Names of the metrics that a record does not have."""
    return [n for n in METRICS if metric_name(record.run, n) not in record.evaluation]


def remeasure(record: Record, images: Images) -> Record:
    """Measure what a record lacks by its weights, and write the record anew.

    Args:
        record: read from a file; its weights are there.
        images: its data set, on the CPU.

    Returns:
        The record as it is now. What it had before is untouched; where nothing is lacking, so is
        the file.

    Raises:
        FileNotFoundError: its weights are not there.
        ValueError: ``images`` are other data than the record's.
        OSError: the record could not be written; the old one is untouched.
    """
    if images.fingerprint != record.data_fingerprint:
        raise ValueError(f"images={images.name!r} are other data than those of {record.path}")
    names = lacking(record)
    if not names:
        return record
    found = measure(record.run, load(record), splits_of(record.run, images), names)
    later = record.measured_later | dict.fromkeys(found, environment("cpu"))
    changes = {
        "schema_version": SCHEMA,
        "evaluation": record.evaluation | found,
        "measured_later": later,
    }
    whole = Record(**dict(record) | changes).at(record.path)  # checked, as a copy is not
    write_together({record.path: whole.model_dump_json(indent=1) + "\n"})
    return whole


def main() -> int:
    """Command line: measure all records of an experiment, and name those left as they are."""
    parser = argparse.ArgumentParser(prog="python -m kanlib.experiments.remeasure")
    parser.add_argument("experiment", help="name of a file in experiments/, or its path")
    parser.add_argument("--results", default="results", help="folder that holds runs/")
    parser.add_argument("--data", help="folder that holds the data; default: KANLIB_DATA")
    asked = parser.parse_args()
    try:
        plan = load_experiment(find_experiment(asked.experiment))
        records = load_records(plan.runs(), asked.results)
        todo = [record for record in records if lacking(record)]
        done = [record for record in todo if has_weights(record)]
        images = load_images(plan.dataset, asked.data) if done else None
        for record in todo:
            missing = ", ".join(lacking(record))
            if images is None or not has_weights(record):
                print(f"{record.path}: no weights to measure {missing} by")
                continue
            remeasure(record, images)
            print(f"{record.path}: {missing}")
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{len(done)} of {len(records)} records measured, {len(todo) - len(done)} have no weights, "
        f"{len(records) - len(todo)} lack nothing"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
