"""Train a run again and measure how interpretable it is.

Needs ``analyses.py``, which keeps what comes out, and ``codes.py``. Weights are not kept anywhere:
a run gives the same ones each time on one machine, so ``study`` trains it, unless its analysis is
there.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn

from kanlib import codes, formulas, pictures
from kanlib.analyses import (
    Analysis,
    Pruned,
    Sparsity,
    analysis_path,
    load_analysis,
    save_analysis,
)  # fmt: skip
from kanlib.autoencoders import Autoencoder
from kanlib.data import Images
from kanlib.evaluation import apply
from kanlib.formulas import Formulas
from kanlib.interpretability import (
    DEGREES,
    ablate,
    curved_layers,
    edge_scores,
    entropy,
    gini,
    prune,
    strongest,
)  # fmt: skip
from kanlib.layers import KANLinear
from kanlib.moments import Moments, moments, visit
from kanlib.pictures import Arrays
from kanlib.provenance import environment
from kanlib.reconstruction import reconstruction_error
from kanlib.runs import Run
from kanlib.training import train

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
        models, classes, C, H, W); of KANs also what ``kanlib.pictures.edge_pictures`` returns.
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
        arrays |= pictures.pruned_pictures(model, seen, scores["spread"], images)
    if reached and scores:
        kept = strongest(scores["spread"], pictures.FEW)
        arrays |= pictures.edge_pictures(model, seen, reached, kept, images)
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
