"""Whether a run can be made: what would fail after its training is found before it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from kanlib.data.images import Images, Split
from kanlib.experiments.environment import environment
from kanlib.experiments.frames import row
from kanlib.experiments.measurement import arrays_of, measure, record_of, splits_of
from kanlib.experiments.record import files_of
from kanlib.experiments.run import Run
from kanlib.experiments.weights import pack
from kanlib.files import try_to_write
from kanlib.models.autoencoder import Autoencoder
from kanlib.models.pca import PCA
from kanlib.nn.grids import refine_model
from kanlib.training.diagnostics import EVERY
from kanlib.training.evaluation import NEIGHBOURS, check_images
from kanlib.training.loop import History

_FEW = 64  # images of a split that a rehearsal takes, as a step of the paper does


def check_run(run: Run, images: Images, results_dir: str | Path | None = None) -> None:
    """Refuse a run that cannot be made, saved or put into a table.

    It is rehearsed: an untrained model is measured and pictured by some images of each split, and
    the files are written and removed. What fails by some images is tried by all of them.

    Args:
        run: what is to be done.
        images: its data set, on the device to compute on.
        results_dir: folder that is to hold runs/; made if missing. None: no file is tried.

    Raises:
        OSError: a file could not be written: the folder is read-only or full, a name is too long,
            or there is a folder of that name.
        ValueError: ``images`` are another data set than the run's, do not fit the model, or cannot
            be measured; or a metric, a picture or the file of weights cannot be made.
    """
    seen = splits_of(run, images)
    if (fewest := min(len(seen.train), len(seen.test))) < NEIGHBOURS:
        raise ValueError(
            f"images={images.name!r} has a split of {fewest}; must have at least {NEIGHBOURS}, the "
            "number of neighbours that are looked for"
        )
    with torch.random.fork_rng():  # a metric may draw numbers
        model = run.build_model(images.shape).to(images.train.images.device)
        check_images(model, seen)
        _check_code(run, model, seen)
        if run.refine:
            refine_model(model, run.refine)
        sizes = max(_FEW, run.bottleneck)  # PCA needs as many
        few = replace(seen, train=_few(seen.train, sizes), test=_few(seen.test, sizes))
        try:
            _rehearse(run, model, images, few, results_dir)
        except ValueError:
            _rehearse(run, model, images, seen, results_dir)


def _rehearse(
    run: Run, model: Autoencoder, images: Images, seen: Images, results_dir: str | Path | None
) -> None:
    """All that follows the training, with a model that has none but PCA's."""
    if isinstance(model, PCA):
        model.fit(seen.train.images)
    evaluation = measure(run, model, seen)
    what = "pictures"
    try:
        arrays = arrays_of(model, seen)
        what = "weights"
        weights = pack(model, run, images.shape)
    except Exception as error:  # a model of one's own may raise anything
        raise ValueError(f"model={run.model!r}: its {what} cannot be kept: {error}") from error
    made_by = environment(images.train.images.device)
    record = record_of(
        run, images, evaluation, History(), seconds=0.0, log_every=EVERY, made_by=made_by
    )
    row(record)
    _, contents = files_of(record, results_dir or ".", arrays, weights)
    if results_dir is not None:
        try_to_write(contents)


def _few(split: Split, count: int) -> Split:
    """The first image of each class, and about ``count`` of all, evenly spaced."""
    labels = split.labels.cpu().numpy()
    first = np.unique(labels, return_index=True)[1]
    spaced = np.linspace(0, len(split) - 1, min(count, len(split))).astype(int)
    places = torch.from_numpy(np.union1d(first, spaced)).to(split.labels.device)
    return Split(split.images[places], split.labels[places])


def _check_code(run: Run, model: Autoencoder, images: Images) -> None:
    """Refuse a model whose code is not of the size that was asked for."""
    with torch.inference_mode():
        code = model.eval().encode(images.train.images[:1])
    if code.shape != (1, run.bottleneck):
        raise ValueError(
            f"model={run.model!r} makes a code of shape {tuple(code.shape)} of one image; must be "
            f"(1, {run.bottleneck}), as bottleneck={run.bottleneck} says"
        )
