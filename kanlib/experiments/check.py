"""``python -m kanlib.experiments.check EXPERIMENT``: can those runs be made that have no record?"""

import argparse
import sys
from collections.abc import Sequence

from kanlib.data.datasets import load_images
from kanlib.data.images import Images
from kanlib.experiments.grid import find_experiment, load_experiment
from kanlib.experiments.rehearsal import check_run
from kanlib.experiments.run import Run
from kanlib.models.pca import PCA
from kanlib.models.registry import MODELS
from kanlib.training.config import TrainingConfig


def without_effect(run: Run) -> list[str]:
    """Settings of the training of a model that is fitted: they change the name of its record alone.

    Returns:
        "epochs=500" and the like.
    """
    if MODELS[run.model].build is not PCA:
        return []
    of_training = TrainingConfig.model_fields.keys() - {"validation"}
    return [f"{name}={value!r}" for name, value in run.changes().items() if name in of_training]


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line: check the runs of experiments that have no record, before any is made."""
    parser = argparse.ArgumentParser(prog="python -m kanlib.experiments.check")
    parser.add_argument("experiments", nargs="+", help="names of files in experiments/, or paths")
    parser.add_argument("--results", default="results", help="folder that holds runs/")
    parser.add_argument("--data", help="folder that holds the data; default: KANLIB_DATA")
    asked = parser.parse_args(arguments)
    try:
        plans = [load_experiment(find_experiment(name)) for name in asked.experiments]
        for plan in plans:
            lacking = [run for run in plan.runs() if not run.path(asked.results).exists()]
            if lacking:
                images = _described(plan.dataset, asked.data)
                # Runs that differ by their seed alone can be made, or not, together.
                for run in {run.model_copy(update={"seed": 0}): run for run in lacking}.values():
                    check_run(run, images, asked.results)
                idle = sorted({setting for run in lacking for setting in without_effect(run)})
                if idle:
                    print(f"{', '.join(idle)}: no effect on PCA, which is fitted", file=sys.stderr)
            print(f"{plan.title}: {len(lacking)} of {len(plan.runs())} runs are to be made")
    except (MemoryError, ModuleNotFoundError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _described(dataset: str, root: str | None) -> Images:
    """A data set, and a line on what was found."""
    images = load_images(dataset, root)
    print(images.summary)
    return images


if __name__ == "__main__":
    sys.exit(main())
