"""Shapes, sizes and parameter counts of the autoencoders, against closed forms."""

import itertools
import math

import pytest
import torch

from kanlib import MODELS, BSpline, KANLinear, build_model, count_parameters
from kanlib.models.autoencoder import match_parameters
from kanlib.models.conv import cnn_dense, conv, kan_conv, kan_shared_conv
from kanlib.models.dense import kan, kan_pure, kan_shared, linear, mlp, spline_mlp
from kanlib.nn import KANConv2d, KANConvTranspose2d

MNIST, COLOUR = (1, 28, 28), (3, 32, 32)


def convolutions(*channels: int) -> int:
    """Parameters of 3x3 convolutions through ``channels``, and of their mirror images."""
    return sum((9 * a * b + b) + (9 * a * b + a) for a, b in itertools.pairwise(channels))


def dense(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        # 10 parameters an edge: base, scale, G + k = 8 coefficients.
        (lambda: kan(MNIST, 34), 535_500),
        (lambda: kan(MNIST, 34), 2 * 784 * 34 * 10 + 2 * dense(34, 34)),
        (lambda: kan(MNIST, 9, 20), 2 * 784 * 20 * 10 + dense(20, 9) + dense(9, 20)),
        (lambda: kan_pure(COLOUR, 72, separate_scale=False), 2 * 3072 * 72 * 9),
        (lambda: kan_pure(MNIST, 9, 20), 2 * (784 * 20 + 20 * 9) * 10),
        (lambda: kan_pure(MNIST, 9, basis=BSpline(20, 2)), 2 * 784 * 9 * (22 + 2)),
        (
            lambda: spline_mlp(MNIST, 9, 20),  # G + k coefficients and the base's, a node
            dense(784, 20) + dense(20, 9) + dense(9, 20) + dense(20, 784) + 2 * 20 * 9,
        ),
        (
            lambda: mlp(MNIST, 9, 20),
            dense(784, 20) + dense(20, 9) + dense(9, 20) + dense(20, 784),
        ),
        (lambda: linear(MNIST, 9), dense(784, 9) + dense(9, 784)),
        (
            lambda: mlp(MNIST, 9, 20, depth=2, layer_norm=True, input_scale=True),
            2 * 784
            + 4 * 40
            + 2 * dense(20, 20)
            + dense(784, 20)
            + dense(20, 9)
            + dense(9, 20)
            + dense(20, 784),
        ),
        (
            lambda: kan_shared(MNIST, 9, 20, functions=3, input_functions=True),
            9 * 784 + 2 * 9 * 60 + dense(784, 20) + dense(60, 9) + dense(9, 20) + dense(60, 784),
        ),
        (
            lambda: kan_shared(MNIST, 9, 20, functions=3, tied=True),
            2 * 9 * 3 + dense(784, 20) + dense(60, 9) + dense(9, 20) + dense(60, 784),
        ),
        (
            lambda: cnn_dense(MNIST, 9, 4),
            convolutions(1, 4, 8) + dense(8 * 49, 9) + dense(9, 8 * 49),
        ),
        (
            lambda: kan_shared_conv(MNIST, 9, 4),
            convolutions(1, 4, 8) + dense(8 * 49, 9) + dense(9, 8 * 49) + 2 * 9 * 12,
        ),
        (lambda: conv(MNIST, 9), 818),
        (lambda: conv(MNIST, 18), convolutions(1, 8, 4, 2)),
        (lambda: conv(COLOUR, 48), convolutions(3, 32, 8, 3)),
        (lambda: conv(COLOUR, 32, dataset="svhn"), convolutions(3, 16, 8, 2)),
        (lambda: conv(COLOUR, 64, dataset="svhn-test10k"), convolutions(3, 64, 8, 4)),
        (lambda: conv(MNIST, 9, width=2.0), convolutions(1, 16, 8, 1)),
        (lambda: kan_conv(MNIST, 9), 10 * 2 * 9 * (1 * 8 + 8 * 4 + 4 * 1)),
        (
            lambda: kan_conv(COLOUR, 64, dataset="svhn", separate_scale=False, basis=BSpline(9)),
            13 * 2 * 9 * (3 * 64 + 64 * 8 + 8 * 4),
        ),
        # 28 -> 14 -> 7 -> 4: a last map of 8 x 4 x 4, dense to the code and back
        (
            lambda: conv(MNIST, 10),
            convolutions(1, 32, 8, 8) + dense(128, 10) + dense(10, 128),
        ),
    ],
)
def test_parameters_are_counted_in_closed_form(model, expected):
    assert count_parameters(model()) == expected


@pytest.mark.parametrize(
    ("shape", "bottleneck", "latent"),
    [
        (MNIST, 4, (1, 2, 2)),
        (MNIST, 9, (1, 3, 3)),
        (MNIST, 18, (2, 3, 3)),
        (COLOUR, 32, (2, 4, 4)),
        (COLOUR, 48, (3, 4, 4)),
        (COLOUR, 64, (4, 4, 4)),
    ],
)
@pytest.mark.parametrize("build", [conv, kan_conv])
def test_the_published_convolutions_have_the_published_codes(build, shape, bottleneck, latent):
    model = build(shape, bottleneck)
    images = torch.randn(64, *shape)
    assert isinstance(model.encoder, torch.nn.Sequential)
    last_map = model.encoder[:-1](images)  # all but the flattening
    assert last_map.shape == (64, *latent)
    assert not any(isinstance(module, torch.nn.Linear) for module in model.modules())
    codes = model.encode(images)
    assert codes.shape == (64, bottleneck)
    assert codes.min() < 0  # no activation on the code
    assert model(images).shape == images.shape


SHAPES = [MNIST, (3, 15, 17), (2, 1, 9), (1, 1, 1)]
BUILDERS = {
    "kan": kan,
    "kan with hidden": lambda shape, size: kan(shape, size, 11),
    "kan_pure": kan_pure,
    "mlp": mlp,
    "deep mlp": lambda shape, size: mlp(shape, size, 11, depth=2, activation="prelu"),
    "linear": linear,
    "kan_shared": lambda shape, size: kan_shared(shape, size, 5, functions=2, depth=2),
    "cnn_dense": cnn_dense,
    "kan_shared_conv": kan_shared_conv,
    "conv": conv,
    "wide conv": lambda shape, size: conv(shape, size, 1.5),
    "kan_conv": kan_conv,
    "conv for svhn": lambda shape, size: conv(shape, size, dataset="svhn"),
}


@pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("bottleneck", [9, 70])
def test_any_image_becomes_a_code_and_an_image_again(build, shape, bottleneck):
    bottleneck = min(bottleneck, math.prod(shape))
    model = build(shape, bottleneck)
    images = torch.rand(3, *shape) * 2 - 1
    codes = model.encode(images)
    assert codes.shape == (3, bottleneck)
    reconstructions = model(images)
    assert reconstructions.shape == images.shape
    assert torch.equal(reconstructions, model.decode(codes))
    reconstructions.square().mean().backward()
    assert all(p.grad is not None for p in model.parameters())  # nothing is built and never called


@pytest.mark.parametrize(("channels", "length"), [(1, 24), (2, 9)])
def test_at_height_1_the_convolutions_are_those_of_one_dimension(channels, length):
    nn, model = torch.nn, conv((channels, 1, length), 4)
    widths, lengths = [channels, 32, 8, 8], [length]
    down, up = [], []
    for i in range(3):
        lengths.append(math.ceil(lengths[-1] / 2))
        down += [nn.Conv1d(widths[i], widths[i + 1], 3, 2, 1), nn.ReLU()]
        back = nn.ConvTranspose1d(widths[i + 1], widths[i], 3, 2, 1, output_padding=1)
        up = [back, nn.ReLU() if i else nn.Tanh(), *up]
    features = 8 * lengths[-1]
    encoder = nn.Sequential(*down[:-1], nn.Flatten(), nn.Linear(features, 4))
    decoder = nn.Sequential(nn.Linear(4, features), nn.Unflatten(1, (8, lengths[-1])), *up)
    ours, theirs = list(model.parameters()), [*encoder.parameters(), *decoder.parameters()]
    assert [p.numel() for p in ours] == [p.numel() for p in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        other.data = mine.data.reshape(other.shape)  # (O, I, 1, 3) -> (O, I, 3)
    windows = torch.rand(5, channels, length) * 2 - 1
    codes = encoder(windows)
    torch.testing.assert_close(model.encode(windows[:, :, None]), codes)
    expected = decoder(codes)[..., :length]
    torch.testing.assert_close(model(windows[:, :, None])[:, :, 0], expected)


@pytest.mark.parametrize(
    ("shape", "bottleneck"), [(MNIST, 9), (MNIST, 18), (MNIST, 4), (COLOUR, 48)]
)
def test_a_kan_convolution_whose_edges_are_lines_is_the_cnn_without_its_biases(shape, bottleneck):
    nn, cnn = torch.nn, conv(shape, bottleneck)
    kan_cnn = kan_conv(shape, bottleneck, base="identity", init_noise=0.0)
    layers = [m for m in cnn.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    kans = [m for m in kan_cnn.modules() if isinstance(m, KANConv2d | KANConvTranspose2d)]
    assert [type(layer) for layer in kans] == [KANConv2d] * 3 + [KANConvTranspose2d] * 3
    for layer, other in zip(kans, layers, strict=True):
        weight = layer.weight.detach()[:, 0].unflatten(1, (layer.in_channels, 3, 3))
        other.weight.data = weight if isinstance(other, nn.Conv2d) else weight.transpose(0, 1)
        nn.init.zeros_(other.bias)
    encoder, decoder = (
        nn.Sequential(*(part for part in half.children() if not isinstance(part, nn.ReLU)))
        for half in (cnn.encoder, cnn.decoder)
    )
    images = torch.rand(3, *shape) * 2 - 1
    torch.testing.assert_close(kan_cnn.encode(images), encoder(images))
    torch.testing.assert_close(kan_cnn(images), decoder(encoder(images)))


def test_windows_go_through_convolutions_along_their_width_alone():
    model = kan_conv((2, 1, 24), 4)
    layers = [m for m in model.modules() if isinstance(m, KANConv2d | KANConvTranspose2d)]
    assert [layer.kernel_size for layer in layers] == [(1, 3)] * 6
    assert [layer.stride for layer in layers] == [(1, 2)] * 6


def test_the_papers_model_is_kan_relu_dense_and_back():
    nn, model = torch.nn, kan(MNIST, 4)
    for half, kinds in (
        (model.encoder, [nn.Flatten, KANLinear, nn.ReLU, nn.Linear]),
        (model.decoder, [nn.Linear, nn.ReLU, KANLinear, nn.Unflatten]),
    ):
        assert [type(module) for module in half.children()] == kinds


def test_the_matched_size_is_the_nearest_of_all():
    def build(size: int) -> torch.nn.Module:
        return torch.nn.Linear(100, size)  # 101 parameters a unit

    targets = (1, 151, 152, 535_500)
    assert [match_parameters(build, target) for target in targets] == [1, 1, 2, 5302]
    with pytest.raises(ValueError, match=r"target=20000000 .*131072"):
        match_parameters(build, 20_000_000)


@pytest.mark.parametrize("name", MODELS)
def test_no_model_has_a_code_larger_than_the_image(name):
    for bottleneck in (0, 65):
        with pytest.raises(ValueError, match=f"bottleneck={bottleneck} "):
            build_model(name, (1, 8, 8), bottleneck)
