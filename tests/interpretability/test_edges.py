"""Ablation, importance, sparsity and pruning, on layers whose answer is known."""

import copy
import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import prune as torch_prune

from kanlib import KAN, GaussianRBF, KANConv2d, KANLinear
from kanlib.interpretability import edges
from kanlib.interpretability.moments import fit_polynomials, moments, visit
from kanlib.models import PCA, Autoencoder, conv, dense
from kanlib.nn import SharedFunctions
from kanlib.training import reconstruction_error

IMAGES = torch.rand(600, 1, 2, 2, generator=torch.Generator().manual_seed(3)) * 2 - 1


def kan_layer(inputs: int = 4, outputs: int = 4, **options) -> KANLinear:
    """With weights so large that its edges bend."""
    layer = KANLinear(inputs, outputs, **options)
    with torch.no_grad():
        layer.weight.normal_()
    return layer


def one_layer(layer: nn.Module) -> Autoencoder:
    """The layer as decoder; the code is the image."""
    return Autoencoder(nn.Flatten(), nn.Sequential(layer, nn.Unflatten(1, (1, 2, 2))))


def straight(slopes: Tensor) -> KANLinear:
    """Edges that are lines: phi_oi(x) = slope_oi x."""
    layer = KANLinear(slopes.shape[1], slopes.shape[0], base="identity")
    with torch.no_grad():
        layer.weight.zero_()
        layer.weight[:, 0] = slopes
    return layer


def brute_edges(layer: KANLinear, x: Tensor) -> np.ndarray:
    return layer.edge_functions(x).detach().double().numpy()


@pytest.mark.parametrize("separate_scale", [False, True])
def test_spread_and_mean_are_those_of_the_edges_one_by_one(separate_scale):
    layer = kan_layer(separate_scale=separate_scale)
    seen = moments(one_layer(layer), IMAGES)["decoder.0"]
    mean, spread = edges.edge_spread(layer, seen)
    found = brute_edges(layer, IMAGES.flatten(1))
    assert mean.numpy() == pytest.approx(found.mean(0), abs=1e-5)
    assert spread.numpy() == pytest.approx(found.std(0), rel=1e-4)


def test_a_dense_edge_spreads_by_its_weight_times_its_input():
    layer = nn.Linear(4, 4)
    seen = moments(one_layer(layer), IMAGES)["decoder.0"]
    expected = layer.weight.abs() * IMAGES.flatten(1).std(0, correction=0)
    assert edges.edge_spread(layer, seen)[1].numpy() == pytest.approx(expected.detach().numpy())


@pytest.mark.parametrize("degree", edges.DEGREES)
def test_an_ablated_edge_is_the_polynomial_that_numpy_fits(degree):
    layer = kan_layer(1, 1)
    x = torch.rand(200, 1, 1, 1) * 2 - 1
    model = Autoencoder(nn.Flatten(), nn.Sequential(layer, nn.Unflatten(1, (1, 1, 1))))
    ablated = edges.ablate(model, moments(model, x), degree)
    points, edge = x.flatten().double().numpy(), brute_edges(layer, x.flatten(1))[:, 0, 0]
    expected = np.polyval(np.polyfit(points, edge, degree), points)
    assert ablated(x).detach().flatten().numpy() == pytest.approx(expected, abs=1e-4)


def test_lines_lose_nothing_as_lines_and_their_variance_as_constants():
    # y_o = 2 x_o of x = -1, 1 against the image x: error x^2 = 1; as constants 0: error 1, too, and
    # with y_o = 3 x_o: error (2 x)^2 = 4 against 1.
    images = torch.tensor([-1.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 2, 2).contiguous()
    for slope, whole in ((2.0, 1.0), (3.0, 4.0)):
        model = one_layer(straight(slope * torch.eye(4)))
        seen = moments(model, images)
        assert reconstruction_error(model, images) == pytest.approx(whole)
        line = edges.ablate(model, seen, 1)
        assert reconstruction_error(line, images) == pytest.approx(whole, rel=1e-6)
        assert reconstruction_error(edges.ablate(model, seen, 0), images) == pytest.approx(1.0)


def test_a_relu_is_half_a_line_and_its_curve_is_lost_with_it():
    # On -1, 1 it is the line (x + 1) / 2 exactly; on -1, 0, 1 the best line is x / 2 + 1 / 3.
    model = Autoencoder(nn.Flatten(), nn.Sequential(nn.ReLU(), nn.Unflatten(1, (1, 1, 1))))
    two, three = (torch.tensor(x).view(-1, 1, 1, 1) for x in ([-1.0, 1.0], [-1.0, 0.0, 1.0]))
    exact = edges.ablate(model, moments(model, two), 1)
    assert exact(two).flatten().tolist() == pytest.approx([0, 1], abs=1e-6)
    best = edges.ablate(model, moments(model, three), 1)
    assert best(three).flatten().tolist() == pytest.approx([-1 / 6, 1 / 3, 5 / 6], abs=1e-6)


def test_a_cnn_without_curves_is_linear():
    model = conv.conv((1, 8, 8), 4)
    x, y = torch.rand(2, 20, 1, 8, 8)
    line = edges.ablate(model, moments(model, x), 1)

    def bend(function):
        return (function((x + y) / 2) - (function(x) + function(y)) / 2).abs().max()

    assert bend(line) < 1e-6 < 1e-5 < bend(model)


def test_an_input_that_never_varies_is_no_trouble():
    images = IMAGES.clone()
    images[:, :, 0, 0] = -1
    images[:, :, 0, 1] = torch.where(images[:, :, 0, 1] > 0, 0.5, -0.5)  # two values
    model = one_layer(kan_layer())
    seen = moments(model, images)
    spread = edges.edge_spread(model.get_submodule("decoder.0"), seen["decoder.0"])[1]
    assert spread[:, 0].max() < 1e-6 < spread[:, 1:].min()
    assert fit_polynomials(seen["decoder.0"], 3).isfinite().all()
    errors = [reconstruction_error(edges.ablate(model, seen, d), images) for d in edges.DEGREES]
    assert all(math.isfinite(error) for error in errors)


def test_beyond_the_data_a_line_goes_on_and_a_cubic_stays():
    layer = straight(torch.ones(1, 1))
    model = Autoencoder(nn.Flatten(), nn.Sequential(layer, nn.Unflatten(1, (1, 1, 1))))
    seen = moments(model, torch.linspace(0, 0.5, 9).view(-1, 1, 1, 1))
    for degree, value in ((1, 1.0), (3, 0.5)):
        far = edges.ablate(model, seen, degree)(torch.ones(1, 1, 1, 1))
        assert far.item() == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("axis", [-1, -3])
def test_functions_on_nodes_that_are_lines_lose_nothing_as_lines(axis):
    layer = SharedFunctions(4, functions=2, base="identity", axis=axis)
    with torch.no_grad():
        layer.weight[0].normal_()
        layer.weight[1:] = 0
    shape = (4, 3, 2) if axis == -3 else (3, 4)
    model: Any = nn.Sequential(layer)  # only its modules matter
    x = torch.rand(50, *shape)
    ablated = edges.ablate(model, moments(model, x), 1)
    torch.testing.assert_close(ablated(x), model(x))


def test_a_bias_is_no_edge_and_stays():
    model: Any = nn.Sequential(edges.prune(kan_layer(), IMAGES.flatten(1) + 1, 0.5))
    x = IMAGES.flatten(1) + 1
    constant = edges.ablate(model, moments(model, x), 0)(x)
    torch.testing.assert_close(constant, model(x).mean(0).expand_as(constant))


def test_only_the_part_asked_for_is_replaced():
    model = dense.kan_pure((1, 2, 2), 2)
    ablated = edges.ablate(model, moments(model, IMAGES), 1, "decoder")
    assert edges.curved_layers(model) == ["encoder.1", "decoder.0"]
    assert edges.curved_layers(ablated) == ["encoder.1"]


def test_entropy_and_gini_of_equal_and_single_values():
    one = torch.tensor([0.0, 0, 5, 0])
    assert edges.entropy(torch.ones(4)) == pytest.approx(math.log(4))
    assert edges.entropy(one) == 0
    assert edges.gini(torch.ones(2, 2)) == pytest.approx(0)
    assert edges.gini(one) == pytest.approx(1 - 1 / 4)


def test_entropy_and_gini_by_their_definitions():
    x = np.random.default_rng(0).exponential(size=30)
    p = x / x.sum()
    assert edges.entropy(torch.from_numpy(x)) == pytest.approx(-(p * np.log(p)).sum())
    differences = np.abs(x[:, None] - x).mean()
    assert edges.gini(torch.from_numpy(x)) == pytest.approx(differences / 2 / x.mean())


def test_without_edges_a_model_makes_its_mean_and_with_all_it_is_itself():
    model = dense.kan((1, 2, 2), 2)
    seen = moments(model, IMAGES)
    scores = edges.edge_scores(model, seen)
    assert list(scores) == ["encoder.1", "encoder.3", "decoder.0", "decoder.2"]
    none = edges.remove_edges(model, seen, edges.strongest(scores, 0))(IMAGES)
    assert none.detach().numpy() == pytest.approx(
        model(IMAGES).mean(0, keepdim=True).expand_as(none).detach().numpy(), abs=1e-5
    )
    whole = edges.remove_edges(model, seen, edges.strongest(scores, 1))(IMAGES)
    assert torch.equal(whole, model(IMAGES))


def test_a_removed_edge_leaves_its_mean():
    # y_o = x_o + (0.1 x_1 for o = 0): without that edge, its mean is left as an error of pixel 0.
    slopes = torch.eye(4)
    slopes[0, 1] = 0.1
    images = IMAGES + 0.5
    model = one_layer(straight(slopes))
    seen = moments(model, images)
    kept = edges.strongest(edges.edge_scores(model, seen), 4 / 16)
    assert torch.equal(kept["decoder.0"], torch.eye(4, dtype=torch.bool))
    mean = 0.1 * float(images[:, 0, 0, 1].mean())
    pruned = reconstruction_error(edges.remove_edges(model, seen, kept), images)
    assert pruned == pytest.approx(mean**2 / 4, rel=1e-3)
    variance = 0.01 * float(images[:, 0, 0, 1].var(correction=0))
    assert reconstruction_error(model, images) == pytest.approx((variance + mean**2) / 4, rel=1e-3)


@pytest.mark.parametrize(
    "layer",
    [kan_layer(), kan_layer(basis=GaussianRBF(), layer_norm=True), nn.Linear(4, 4, bias=False)],
    ids=["KAN", "layer norm", "dense"],
)
def test_a_layer_is_pruned_to_those_edges_that_vary_most(layer):
    x = IMAGES.flatten(1).view(60, 10, 4)  # rows, as of a sequence
    pruned = edges.prune(layer, x, keep=0.25)
    assert type(pruned) is type(layer) and layer.bias is None
    if isinstance(layer, KANLinear):
        found = torch.einsum("nki,oki->noi", layer.features(IMAGES.flatten(1)), layer.weight)
    else:
        found = IMAGES.flatten(1).unsqueeze(1) * layer.weight
    spread = found.std(0)
    kept = spread >= spread.flatten().topk(4).values.min()
    expected = (found * kept).sum(2) + (found.mean(0) * ~kept).sum(1)
    torch.testing.assert_close(pruned(x).flatten(0, 1), expected, rtol=1e-4, atol=1e-4)


def test_a_network_is_pruned_and_stays_as_it_is_otherwise():
    model: Any = KAN([4, 3, 2], dtype=torch.float64).train()
    x = IMAGES.flatten(1).double()
    assert torch.equal(edges.prune(model, x, 1.0)(x), model(x))
    pruned = edges.prune(model, x, 0.5)
    left = [(layer.weight != 0).any(1).sum().item() for layer in pruned]
    assert sum(left) == 9 and pruned.training and model.training
    torch.testing.assert_close(
        edges.prune(pruned, x, 0.5)(x), pruned(x), rtol=0, atol=1e-9
    )  # once more, nothing is lost
    fresh: Any = KAN([4, 3, 2], dtype=torch.float64)
    fresh.load_state_dict(pruned.state_dict())
    assert torch.equal(fresh(x), pruned(x))
    none = edges.prune(model, x, 0.0)
    torch.testing.assert_close(none(x), model(x).mean(0).expand(len(x), -1))


def test_removed_edges_can_be_kept_away_while_others_learn():
    layer = edges.prune(kan_layer(), IMAGES.flatten(1), 0.5)
    gone = layer.weight == 0
    torch_prune.custom_from_mask(layer, "weight", ~gone)
    with pytest.raises(TypeError, match="prune: layer="):
        edges.prune(layer, IMAGES.flatten(1), 0.5)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(IMAGES.flatten(1)).square().sum().backward()
    optimizer.step()
    torch_prune.remove(layer, "weight")
    assert gone.any() and torch.equal(layer.weight == 0, gone)


def test_pruning_by_size_is_torchs_global_pruning():
    model = dense.mlp((1, 2, 2), 2, 5)
    seen = moments(model, IMAGES)
    kept = edges.strongest(edges.edge_scores(model, seen, "size"), 0.4)
    total = sum(mask.numel() for mask in kept.values())
    other = copy.deepcopy(model)
    layers = {name: other.get_submodule(name) for name in kept}
    torch_prune.global_unstructured(
        [(layer, "weight") for layer in layers.values()],
        torch_prune.L1Unstructured,
        amount=total - round(0.4 * total),
    )
    for name, layer in layers.items():
        assert torch.equal(kept[name], dict(layer.named_buffers())["weight_mask"].bool())


def test_doubling_a_code_changes_no_ranking():
    model = dense.mlp((1, 2, 2), 2, 5)
    before = edges.edge_scores(model, moments(model, IMAGES))
    with torch.no_grad():
        for name in ("weight", "bias"):
            model.get_parameter(f"encoder.3.{name}").mul_(2)
        model.get_parameter("decoder.0.weight").div_(2)
    after = edges.edge_scores(model, moments(model, IMAGES))
    for name in before:
        assert after[name].numpy() == pytest.approx(before[name].numpy())


def test_a_layer_whose_weights_are_made_of_others_is_not_pruned():
    model = dense.kan((1, 2, 2), 2)
    seen = moments(model, IMAGES)
    kept = edges.strongest(edges.edge_scores(model, seen), 0.5)
    torch.nn.utils.parametrizations.weight_norm(model.get_submodule(next(iter(kept))))
    with pytest.raises(TypeError, match="prune: layer="):
        edges.remove_edges(model, seen, kept)


def test_what_is_measured_leaves_the_model_as_it_was():
    model = dense.kan((1, 2, 2), 2)
    before = copy.deepcopy(model.state_dict())
    seen = moments(model, IMAGES)
    edges.ablate(model, seen, 1)
    edges.remove_edges(model, seen, edges.strongest(edges.edge_scores(model, seen), 0.5))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_hooks_are_gone_after_an_error():
    model = dense.mlp((1, 2, 2), 2)

    def fail(*_):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        visit(model, (nn.Linear,), IMAGES, fail)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_bad_arguments_are_named():
    pca, model = PCA((1, 2, 2), 2), dense.kan((1, 2, 2), 2)
    assert moments(pca, IMAGES) == {}
    seen = moments(model, IMAGES)
    for call, message in (
        (lambda: edges.ablate(model, seen, 4), "degree=4"),
        (lambda: edges.ablate(model, seen, 1, "code"), "part='code'"),
        (lambda: edges.ablate(pca, {}, 1), "part=''"),
        (lambda: edges.edge_scores(model, seen, "size"), "rule='size'"),
        (lambda: edges.edge_scores(model, seen, "sise"), "rule='sise'"),
        (lambda: edges.strongest({}, 1.5), "kept=1.5"),
        (lambda: edges.gini(torch.tensor([1.0, -1.0])), r"values of shape \(2,\)"),
        (lambda: edges.entropy(torch.zeros(3)), r"values of shape \(3,\)"),
        (lambda: moments(model, IMAGES[:0]), r"images of shape \(0, 1, 2, 2\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    for inputs, keep, stated in (
        (IMAGES, 1.5, "kept=1.5"),
        (IMAGES[:0], 0.5, r"images of shape \(0,"),
        (IMAGES / 0, 0.5, r"inputs of shape \(600,"),
    ):
        with pytest.raises(ValueError, match=stated):
            edges.prune(model, inputs, keep)
    with pytest.raises(ValueError, match="model=KANConv2d "):
        edges.prune(KANConv2d(1, 1, 1), IMAGES, 0.5)
    with pytest.raises(TypeError, match=r"layer=ReLU\(\)"):
        edges.edge_weights(nn.ReLU())
