"""PCA against scikit-learn's and numpy's answers; models by name."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA as SklearnPCA

from kanlib import MODELS, PCA, Autoencoder, BSpline, build_model, count_parameters
from kanlib.models.wrappers import with_output
from kanlib.training import reconstruction_error

MNIST, COLOUR = (1, 28, 28), (3, 32, 32)


@pytest.mark.parametrize("number", [40, 12], ids=["many images", "fewer images than pixels"])
def test_pca_is_scikit_learns(number):
    images = torch.randn(number, 1, 4, 5)
    model = PCA((1, 4, 5), 7)
    model.fit(images)
    rows = images.flatten(1).double().numpy()
    sklearn = SklearnPCA(7, svd_solver="full").fit(rows)
    codes = sklearn.transform(rows)
    # The sign of a component is arbitrary.
    np.testing.assert_allclose(model.encode(images).abs(), np.abs(codes), rtol=0, atol=1e-4)
    expected = sklearn.inverse_transform(codes).reshape(images.shape)
    np.testing.assert_allclose(model(images), expected, rtol=0, atol=1e-5)
    assert count_parameters(model) == 7 * 20 + 20
    assert not any(parameter.requires_grad for parameter in model.parameters())
    with pytest.raises(ValueError, match="n_components=7 "):
        model.fit(images[:5])


def test_no_linear_map_of_this_size_leaves_a_smaller_error():
    images = torch.randn(50, 1, 3, 3, dtype=torch.float32) * torch.arange(1, 10).view(3, 3)
    model = PCA((1, 3, 3), 4)
    model.fit(images)
    centred = images.flatten(1).double().numpy()
    centred -= centred.mean(0)
    left_out = np.linalg.svd(centred, compute_uv=False)[4:]  # Eckart and Young
    assert reconstruction_error(model, images) == pytest.approx((left_out**2).sum() / (50 * 9))


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.sized])
@pytest.mark.parametrize(
    ("shape", "bottleneck", "separate_scale"), [(MNIST, 9, True), (COLOUR, 64, False)], ids=str
)
def test_matched_parameters_are_within_1_percent_of_the_kans(
    name, shape, bottleneck, separate_scale
):
    an_edge = 10 if separate_scale else 9
    pixels = shape[0] * shape[1] * shape[2]
    target = 2 * pixels * bottleneck * an_edge + 2 * (bottleneck**2 + bottleneck)
    with torch.device("meta"):
        model = build_model(
            name, shape, bottleneck, match_parameters=True, separate_scale=separate_scale
        )
    assert count_parameters(model) == pytest.approx(target, rel=0.01)


@pytest.mark.parametrize(
    ("name", "match"),
    [(name, False) for name, spec in MODELS.items() if "output" in spec.options]
    + [(name, True) for name, spec in MODELS.items() if spec.sized],
)
def test_an_output_is_bounded_by_tanh_or_free(name, match):
    options = {"match_parameters": match}
    x = torch.rand(4, 1, 8, 8) * 2 - 1
    made = {}
    for output in ("tanh", "linear", None):
        torch.manual_seed(0)
        made[output] = build_model(name, (1, 8, 8), 3, output=output, **options)(x)
    torch.testing.assert_close(made["tanh"], made["linear"].tanh())
    torch.testing.assert_close(
        made[None], made["tanh" if name in ("conv", "kan-conv") else "linear"]
    )


def test_an_output_leaves_hidden_activations():
    hidden = [torch.nn.Linear(4, 5), torch.nn.Tanh(), torch.nn.Linear(5, 3)]
    model = Autoencoder(torch.nn.Sequential(torch.nn.Flatten()), torch.nn.Sequential(*hidden))
    x = torch.rand(4, 1, 2, 2)
    torch.testing.assert_close(with_output(model, "linear")(x), model(x))
    torch.testing.assert_close(with_output(model, "tanh")(x), model(x).tanh())


@pytest.mark.parametrize("name", [name for name, spec in MODELS.items() if spec.sized])
@pytest.mark.parametrize("budget", [40_000, 400_000])
def test_a_budget_is_met_within_a_unit_of_width(name, budget):
    with torch.device("meta"):
        model = build_model(name, MNIST, 9, budget=budget)
    assert count_parameters(model) == pytest.approx(budget, rel=0.03)


@pytest.mark.parametrize("activation", ["relu", "gelu", "silu", "prelu"])
@pytest.mark.parametrize("name", ["mlp", "cnn-dense"])
def test_rivals_take_the_activation_that_is_named(name, activation):
    model = build_model(name, MNIST, 9, activation=activation)
    made = [type(part).__name__.lower() for part in model.modules()]
    assert made.count(activation) == (2 if name == "mlp" else 4)


@pytest.mark.parametrize(
    ("name", "options", "named"),
    [
        ("KAN", {}, "model='KAN'"),
        ("kan", {"hiden": 9}, "hiden=9"),
        ("conv", {"hidden": 9}, "hidden=9.*'conv'"),
        ("mlp", {"base": "zero"}, "base='zero'.*'mlp'"),
        ("conv", {"basis": BSpline(9)}, r"basis=BSpline\(.*'conv'"),
        ("mlp", {"hidden": 9, "match_parameters": True}, "hidden=9.*match_parameters=True"),
        ("kan", {"match_parameters": True}, "match_parameters=True.*'kan'"),
        ("mlp", {"separate_scale": False}, "separate_scale=False.*'mlp'"),
        ("pca", {"output": "tanh"}, "output='tanh'.*'pca'"),
        ("kan", {"output": "relu"}, "activation='relu'"),
        ("mlp", {"activation": "tanh"}, "activation='tanh' must be one of"),
        ("kan", {"budget": 9}, "budget=9 has no meaning for model='kan'"),
        ("mlp", {"budget": 9, "hidden": 3}, "hidden=3 has no meaning"),
        ("mlp", {"budget": 9, "match_parameters": True}, "budget=9 has no meaning"),
        ("mlp", {"input_functions": True}, "input_functions=True has no meaning"),
        ("linear", {"depth": 2}, "depth=2 has no meaning"),
    ],
)
def test_what_has_no_meaning_is_refused(name, options, named):
    with pytest.raises(ValueError, match=named):
        build_model(name, (1, 8, 8), 5, **options)


def test_lsa_is_the_best_approximation_without_a_mean():
    rows = torch.rand(60, 12, generator=torch.Generator().manual_seed(0))
    model = build_model("lsa", (1, 1, 12), 4)
    model.fit(rows[:, None, None])
    _, _, directions = torch.linalg.svd(rows, full_matrices=False)
    expected = rows @ directions[:4].T @ directions[:4]
    torch.testing.assert_close(
        model(rows[:, None, None]).flatten(1), expected, rtol=1e-3, atol=1e-3
    )
    assert count_parameters(model) == 4 * 12
    with pytest.raises(ValueError, match="bottleneck=4"):
        model.fit(rows[:3, None, None])
