"""Train a run again and measure how interpretable it is.

Weights are not kept anywhere: a run gives the same ones each time on one machine, so ``study``
trains it, unless its analysis is there.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kanlib.data.datasets import Images
from kanlib.experiments.environment import environment
from kanlib.experiments.run import Run
from kanlib.interpretability import codes, formulas
from kanlib.interpretability.analysis import (
    Analysis,
    Pruned,
    Sparsity,
    analysis_path,
    load_analysis,
    save_analysis,  # fmt: skip
)
from kanlib.interpretability.edges import (
    DEGREES,
    ablate,
    curved_layers,
    edge_polynomials,
    edge_scores,
    edge_spread,
    entropy,
    gini,
    prune,
    strongest,
)
from kanlib.interpretability.formulas import Formulas
from kanlib.interpretability.moments import Moments, chebyshev, moments, scaled, visit
from kanlib.models.autoencoder import Autoencoder
from kanlib.nn.linear import KANLinear
from kanlib.training.diagnostics import first_of_each_class
from kanlib.training.evaluation import apply, reconstruction_error
from kanlib.training.loop import train

PICTURED = (1.0, 0.3, 0.1, 0.05)  # fractions of the edges whose reconstructions are kept
FEW = 0.1  # fraction of the edges in the pictures "after pruning"
Arrays = dict[str, NDArray[Any]]


def pruned_pictures(
    model: Autoencoder, seen: dict[str, Moments], scores: dict[str, Tensor], images: Images
) -> Arrays:
    """The first test image of each class, and what pruned models make of it.

    Args:
        model: trained.
        seen: its moments.
        scores: of its edges, as ``kanlib.interpretability.edges.edge_scores`` returns.
        images: the data.

    Returns:
        ``originals`` (classes, C, H, W), ``reconstructions`` (pruned models, classes, C, H, W):
        one model for each fraction in ``PICTURED``.
    """
    shown = first_of_each_class(images.test)
    with torch.inference_mode():
        made = [prune(model, seen, strongest(scores, kept))(shown) for kept in PICTURED]
    return {
        "originals": shown.half().numpy(),
        "reconstructions": torch.stack(made).half().numpy(),
    }


def edge_pictures(
    model: Autoencoder,
    seen: dict[str, Moments],
    reached: dict[str, Tensor],
    kept: dict[str, Tensor],
    images: Images,
) -> Arrays:
    """What the figures need of the edges of one pixel, and of the first layer.

    Args:
        model: whose first and last layers are KAN layers.
        seen: its moments.
        reached: what reaches its KAN layers.
        kept: which edges are left when a tenth is.
        images: the data.

    Returns:
        ``pixel``, the input of the first layer whose edges vary most, all units together;
        ``encoder_...`` (the edges from there) and ``decoder_...`` (the edges to it), a row an edge:
        points (E, P) from the 0.5 % to the 99.5 % quantile of the data, values and lines (E, P),
        the edges and their best lines; ``fields`` (O, C, H, W), the spread of each edge of the
        first layer with the sign of its best line's slope; ``fields_kept``, whether it is left.
    """
    first, *_, last = reached
    spread = edge_spread(model.get_submodule(first), seen[first])[1]
    slopes = edge_polynomials(model.get_submodule(first), seen[first], 1)[:, 1]
    pixel = int(spread.square().sum(0).argmax())
    return {
        "pixel": np.array(pixel),
        **_edges_of("encoder", model.get_submodule(first), seen[first], reached[first], i=pixel),
        **_edges_of("decoder", model.get_submodule(last), seen[last], reached[last], o=pixel),
        "fields": (spread * slopes.sign()).unflatten(1, images.shape).float().numpy(),
        "fields_kept": kept[first].unflatten(1, images.shape).numpy(),
    }


def _edges_of(
    name: str,
    layer: nn.Module,
    seen: Moments,
    inputs: Tensor,
    i: int | slice = slice(None),
    o: int | slice = slice(None),
) -> Arrays:
    """The edges from one input, or to one output, of a layer: see ``edge_pictures``."""
    assert isinstance(layer, KANLinear)
    ends = np.quantile(inputs.double().numpy(), [0.005, 0.995], axis=0)
    points = torch.from_numpy(np.linspace(ends[0], ends[1], 101))  # (P, I)
    with torch.inference_mode():
        values = layer.edge_functions(points.to(layer.weight.dtype))  # (P, O, I)
    terms = chebyshev(scaled(points, seen.low, seen.high), 1)  # (P, 2, I)
    lines = torch.einsum("pdi,odi->poi", terms, edge_polynomials(layer, seen, 1))
    chosen = {
        "points": points.unsqueeze(1).expand_as(values)[:, o, i].T,
        "values": values[:, o, i].T,
        "lines": lines[:, o, i].T,
    }
    return {f"{name}_{key}": array.float().numpy() for key, array in chosen.items()}


PARTS = ("", "encoder", "decoder")
KEPT = (1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.03, 0.02, 0.01, 0.0)
CODES = 1000  # test images whose codes are kept
SEEN = 10_000  # training images that formulas are fitted on


def study(run: Run, images: Images, results_dir: str | Path) -> Analysis:
    """The analysis of ``run``: read, or trained for, measured and kept.

    Args:
        run: what to train.
        images: its data, on the CPU.
        results_dir: folder that holds interpretability/; made if missing.

    Raises:
        ValueError: ``images`` are another data set, or the file there is damaged or of other data.
    """
    if images.name != run.dataset:
        raise ValueError(f"images={images.name!r} must be the data set of the run, {run.dataset!r}")
    if analysis_path(run, results_dir).exists():
        analysis = load_analysis(run, results_dir)
        if analysis.data_fingerprint != images.fingerprint:
            path = analysis_path(run, results_dir)
            raise ValueError(f"{path} is of other data than images; delete it and analyse again")
        return analysis
    model = run.build_model(images.shape)
    train(model, images, run.training(), seed=run.seed)
    analysis, arrays = analyse(run, model, images)
    save_analysis(analysis, results_dir, arrays)
    return analysis


def analyse(run: Run, model: Autoencoder, images: Images) -> tuple[Analysis, Arrays]:
    """Measure a trained model: fitted on the training images, scored on the test images.

    Args:
        run: that ``model`` comes from.
        model: trained, on the CPU.
        images: the data of the run.

    Returns:
        The analysis, and arrays: ``codes`` (at most 1000, D) of the first test images. Where all
        weights are on edges, ``originals`` (classes, C, H, W) and ``reconstructions`` (pruned
        models, classes, C, H, W); of KANs also what ``edge_pictures`` returns.
    """
    seen = moments(model, images.train.images)
    reached = _reached(model, images.train.images[:SEEN])
    train_codes, test_codes = (
        apply(model.encode, split.images).numpy() for split in (images.train, images.test)
    )
    train_labels, test_labels = images.train.labels.numpy(), images.test.labels.numpy()
    scores = _scores(model, seen)
    arrays: Arrays = {"codes": test_codes[:CODES]}
    if scores:
        arrays |= pruned_pictures(model, seen, scores["spread"], images)
    if reached and scores:
        kept = strongest(scores["spread"], FEW)
        arrays |= edge_pictures(model, seen, reached, kept, images)
    analysis = Analysis(
        run=run,
        test_mse=reconstruction_error(model, images.test.images),
        ablation=_ablation(model, seen, images.test.images),
        sparsity=_sparsity(scores["spread"]) if scores else {},
        pruning={rule: _pruning(model, seen, found, images) for rule, found in scores.items()},
        formulas=_formulas(model, reached),
        probe=codes.linear_probe(train_codes, train_labels, test_codes, test_labels),
        information=tuple(codes.class_information(test_codes, test_labels)),
        data_fingerprint=images.fingerprint,
        environment=environment("cpu", "default"),
    )
    return analysis, arrays


def _ablation(
    model: Autoencoder, seen: dict[str, Moments], test: Tensor
) -> dict[str, dict[str, float]]:
    curved = curved_layers(model)
    return {
        part: {
            name: reconstruction_error(ablate(model, seen, degree, part), test)
            for degree, name in DEGREES.items()
        }
        for part in PARTS if any(layer.startswith(part) for layer in curved)
    }  # fmt: skip


def _scores(model: Autoencoder, seen: dict[str, Moments]) -> dict[str, dict[str, Tensor]]:
    """Rule -> scores of the edges; none with convolutions, whose weights serve many edges each.

    Biases, and splines on nodes, are on no edge: they have no score and are not pruned.
    """
    kinds = {type(module) for module in model.modules()}
    if {nn.Conv2d, nn.ConvTranspose2d} & kinds or not {KANLinear, nn.Linear} & kinds:
        return {}
    rules = ("spread",) if KANLinear in kinds else ("spread", "size")
    return {rule: edge_scores(model, seen, rule) for rule in rules}


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
    curve = []
    for kept in KEPT:
        masks = strongest(scores, kept)
        sizes = {name: model.get_submodule(name) for name in masks}
        widths = {n: m.basis.size + 1 if isinstance(m, KANLinear) else 1 for n, m in sizes.items()}
        error = reconstruction_error(prune(model, seen, masks), images.test.images)
        numbers = sum(int(mask.sum()) * widths[name] for name, mask in masks.items())
        curve.append(Pruned(kept=kept, numbers=numbers, mse=error))
    return tuple(curve)


def _reached(model: Autoencoder, images: Tensor) -> dict[str, Tensor]:
    """What reaches the KAN layers, (N, I) each, in the order of the model."""
    parts: dict[str, list[Tensor]] = {}
    visit(model, (KANLinear,), images, lambda n, _, x: parts.setdefault(n, []).append(x))
    return {name: torch.cat(found) for name, found in parts.items()}


def _formulas(model: Autoencoder, reached: dict[str, Tensor]) -> dict[str, Formulas]:
    layers = {name: model.get_submodule(name) for name in reached}
    return {
        name: formulas.edge_formulas(layer, reached[name])
        for name, layer in layers.items() if isinstance(layer, KANLinear)
    }  # fmt: skip
