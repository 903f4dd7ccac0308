"""Measure how interpretable a run's trained model is, and keep what was measured."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.data.datasets import load_images
from kanlib.data.images import Images
from kanlib.experiments.environment import environment
from kanlib.experiments.execution import execute
from kanlib.experiments.record import CURE as RECORD_CURE
from kanlib.experiments.record import load_records
from kanlib.experiments.run import Run
from kanlib.experiments.weights import has_weights, load
from kanlib.interpretability.analysis import (
    CURE,
    Analysis,
    Arrays,
    Pruned,
    Sparsity,
    analysis_path,
    load_analysis,
    save_analysis,
)
from kanlib.interpretability.codes import class_information, linear_probe
from kanlib.interpretability.edges import (
    DEGREES,
    ablate,
    curved_layers,
    edge_scores,
    edge_weights,
    entropy,
    gini,
    remove_edges,
    strongest,
)
from kanlib.interpretability.formulas import simplicity
from kanlib.interpretability.moments import Moments, moments, visit
from kanlib.interpretability.pictures import edge_pictures
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.conv import KANConv
from kanlib.nn.linear import KANLinear
from kanlib.training.batches import apply
from kanlib.training.evaluation import reconstruction_error

PARTS = ("", "encoder", "decoder")
KEPT = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.0)
CODES = 1000  # test images whose codes are kept
SEEN = 10_000  # training images that formulas are fitted on


def analysis_of(run: Run, images: Images, results_dir: str | Path) -> Analysis:
    """The analysis of ``run``: read where it is there, else measured and kept.

    What is measured is the trained model of the run's record. Where its weights are not there, the
    run is trained again. Then its record is kept too, unless there is one.

    Args:
        run: whose model is to be measured.
        images: its data, on the CPU.
        results_dir: folder that holds runs/ and interpretability/; made if missing.

    Raises:
        ValueError: ``images`` are another data set; the run may not see test images; the model has
            layers that are not measured (see ``check_measurable``); or a file there is damaged, of
            other data or of another run.
        TrainingDiverged: see ``kanlib.experiments.execute``.
    """
    if images.name != run.dataset:
        raise ValueError(f"images={images.name!r} must be the data set of the run, {run.dataset!r}")
    if run.measured_on != "test":
        raise ValueError(f"measured_on={run.measured_on!r} must be 'test': an analysis reads that")
    path = analysis_path(run, results_dir)
    if path.exists():
        analysis = load_analysis(run, results_dir)
        if analysis.data_fingerprint != images.fingerprint:
            raise ValueError(f"{path} is of other data than images={images.name!r}; {CURE}")
        return analysis
    check_measurable(run.build_model(images.shape))  # before it is trained
    analysis, arrays = analyse(run, _trained(run, images, results_dir), images)
    return save_analysis(analysis, results_dir, arrays)


def analyses_of(
    runs: Sequence[Run], results_dir: str | Path, data_root: str | Path | None = None
) -> list[Analysis]:
    """The analyses of runs, in their order. Data are loaded only where an analysis is missing.

    Args:
        runs: whose models are to be measured; of any data sets.
        results_dir: folder that holds runs/ and interpretability/; made if missing.
        data_root: folder that holds the data, see ``kanlib.data.load_images``.

    Raises:
        ValueError, TrainingDiverged: see ``analysis_of``, or the data are not as they should be.
        FileNotFoundError: data are needed, and are not there.
    """
    missing = [run for run in runs if not analysis_path(run, results_dir).exists()]
    needed = dict.fromkeys(run.dataset for run in missing)
    images = {name: load_images(name, data_root) for name in needed}
    return [
        analysis_of(run, images[run.dataset], results_dir)
        if run.dataset in images
        else load_analysis(run, results_dir)
        for run in runs
    ]


def _trained(run: Run, images: Images, results_dir: str | Path) -> Autoencoder:
    """The model of a run's record, or trained again; a record that is there stays as it is."""
    if not run.path(results_dir).exists():
        return execute(run, images).save(results_dir).model
    (record,) = load_records([run], results_dir)
    if record.data_fingerprint != images.fingerprint:
        raise ValueError(
            f"{record.path} is of other data than images={images.name!r}; {RECORD_CURE}"
        )
    return load(record) if has_weights(record) else execute(run, images).model


def check_measurable(model: nn.Module) -> None:
    """Refuse models whose functions the measures would mistake for others, or leave out.

    An edge of a convolution serves many places. Behind a layer norm a function sees a whole row.

    Raises:
        ValueError: a layer is a KAN convolution or a layer norm.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, KANConv | nn.LayerNorm):
            raise ValueError(
                f"model: {name} ({type(layer).__name__}) cannot be measured; KAN convolutions and "
                "layer norms are not understood here"
            )


def analyse(run: Run, model: Autoencoder, images: Images) -> tuple[Analysis, Arrays]:
    """Measure a trained model: fitted on the training images, scored on the test images.

    Args:
        run: that ``model`` comes from.
        model: trained, on the CPU.
        images: the data of the run.

    Returns:
        The analysis, and arrays: ``codes`` (at most 1000, D) of the first test images; of KANs
        also what ``kanlib.interpretability.pictures.edge_pictures`` returns.
    """
    check_measurable(model)
    seen = moments(model, images.train.images)
    scores = _scores(model, seen)
    kan = {n: layer for n, layer in model.named_modules() if isinstance(layer, KANLinear)}
    reached = _reached(model, images.train.images[:SEEN])
    code = apply(model.encode, images.test.images).numpy()
    analysis = Analysis(
        run=run,
        test_mse=reconstruction_error(model, images.test.images),
        ablation=_ablation(model, seen, images.test.images),
        sparsity=_sparsity(scores["spread"]) if scores else {},
        pruning={rule: _pruning(model, seen, found, images) for rule, found in scores.items()},
        formulas={name: simplicity(layer, reached[name]) for name, layer in kan.items()},
        probe=_probe(model, images, code),
        information=tuple(class_information(code, images.test.labels.numpy())),
        data_fingerprint=images.fingerprint,
        environment=environment("cpu"),
    )
    arrays: Arrays = {"codes": code[:CODES]}
    if kan:
        arrays |= edge_pictures(kan, seen, reached)
    return analysis, arrays


def _scores(model: Autoencoder, seen: dict[str, Moments]) -> dict[str, dict[str, Tensor]]:
    """Rule -> scores of the edges; none with convolutions, whose weights serve many edges each.

    Biases, and splines on nodes, are on no edge: they have no score and are not pruned.
    """
    kinds = {type(module) for module in model.modules()}
    if {nn.Conv2d, nn.ConvTranspose2d} & kinds or not {KANLinear, nn.Linear} & kinds:
        return {}
    rules = ("spread",) if KANLinear in kinds else ("spread", "size")
    return {rule: edge_scores(model, seen, rule) for rule in rules}


def _reached(model: Autoencoder, images: Tensor) -> dict[str, Tensor]:
    """What reaches the KAN layers, (N, I) each."""
    parts: dict[str, list[Tensor]] = {}
    visit(model, (KANLinear,), images, lambda n, _, x: parts.setdefault(n, []).append(x))
    return {name: torch.cat(found) for name, found in parts.items()}


def _ablation(
    model: Autoencoder, seen: dict[str, Moments], test: Tensor
) -> dict[str, dict[str, float]]:
    """Part -> name of a degree -> test MSE; without the parts that have no curved layer."""
    curved = curved_layers(model)
    return {
        part: {
            name: reconstruction_error(ablate(model, seen, degree, part), test)
            for degree, name in DEGREES.items()
        }
        for part in PARTS
        if any(layer.startswith(part) for layer in curved)
    }


def _sparsity(scores: dict[str, Tensor]) -> dict[str, Sparsity]:
    return {
        name: Sparsity(
            edges=score.numel(),
            effective=math.exp(entropy(score)) / score.numel(),
            gini=gini(score),
        )
        for name, score in scores.items()
    }


def _pruning(
    model: Autoencoder, seen: dict[str, Moments], scores: dict[str, Tensor], images: Images
) -> tuple[Pruned, ...]:
    """A pruned model for each fraction in ``KEPT``."""
    curve = []
    for kept in KEPT:
        masks = strongest(scores, kept)
        numbers = sum(
            int(mask.sum()) * edge_weights(model.get_submodule(name)).shape[1]
            for name, mask in masks.items()
        )
        error = reconstruction_error(remove_edges(model, seen, masks), images.test.images)
        curve.append(Pruned(kept=kept, numbers=numbers, mse=error))
    return tuple(curve)


def _probe(model: Autoencoder, images: Images, code: NDArray[Any]) -> float:
    """Accuracy of a linear classifier, fitted on the training codes, on the test ``code``."""
    fitted_on = apply(model.encode, images.train.images).numpy()
    train, test = images.train.labels.numpy(), images.test.labels.numpy()
    return linear_probe(fitted_on, train, code, test)
