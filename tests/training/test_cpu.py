"""Faster products and passes: only where they are exact, and never past the block."""

import shutil

import pytest
import torch
from torch import nn
from torch._dynamo import config as dynamo

from kanlib.data import Images, Split
from kanlib.models.autoencoder import Autoencoder
from kanlib.models.dense import kan, mlp
from kanlib.nn import BSpline, Chebyshev, GaussianRBF, KANLinear
from kanlib.training import TrainingConfig, cpu, train


@pytest.fixture(autouse=True)
def untouched():
    before = torch.get_float32_matmul_precision()
    yield
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(before)
    assert after == before


@pytest.fixture
def amd(monkeypatch, tmp_path):
    processors = tmp_path / "cpuinfo"
    processors.write_text("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f avx512dq\n")
    monkeypatch.setattr(cpu, "_PROCESSORS", processors)
    return processors


def product_in(dtype):
    """A product of float32 matrices whose entries are first put into ``dtype``."""
    matmul = torch.Tensor.__matmul__
    return lambda a, b: matmul(a.to(dtype), b.to(dtype)).to(a.dtype)


def error_of_a_product():
    a, b = torch.randn(100, 500), torch.randn(500, 100)
    exact = a.double() @ b.double()
    return ((a @ b - exact).abs().max() / exact.abs().max()).item()


def test_it_is_on_inside_the_block_where_products_are_exact(amd, monkeypatch):
    monkeypatch.setattr(torch.Tensor, "__matmul__", product_in(torch.float64))
    with cpu.fast_products(True) as products:
        assert products == "onednn"
        assert torch.get_float32_matmul_precision() == "medium"


def test_it_is_off_where_products_would_be_short(amd, monkeypatch):
    exact, short = product_in(torch.float64), product_in(torch.bfloat16)

    def with_matrix_units(a, b):
        fast = a.dtype == torch.float32 and torch.get_float32_matmul_precision() == "medium"
        return (short if fast else exact)(a, b)

    monkeypatch.setattr(torch.Tensor, "__matmul__", with_matrix_units)
    torch.set_float32_matmul_precision("medium")
    assert error_of_a_product() > 1e-4  # what the probe has to see
    torch.set_float32_matmul_precision("highest")
    with cpu.fast_products(True) as products:
        assert products == "default"
        assert error_of_a_product() < 2e-6


@pytest.mark.parametrize(
    "processors",
    [
        "vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f\n",
        "vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n",
        None,
    ],
)
def test_it_is_off_where_the_default_is_faster_or_the_processor_unknown(amd, processors):
    amd.unlink()
    if processors:
        amd.write_text(processors)
    with cpu.fast_products(True) as products:
        assert products == "default"
        assert torch.get_float32_matmul_precision() == "highest"


def test_turned_off_it_touches_nothing(amd, monkeypatch):
    def refuse(*_):  # as PyTorch does where its newer settings were used before
        raise RuntimeError("mix of the legacy and new APIs")

    with monkeypatch.context() as patch:
        patch.setattr(torch, "get_float32_matmul_precision", refuse)
        patch.setattr(torch, "set_float32_matmul_precision", refuse)
        with cpu.fast_products(False) as products:
            assert products == "default"


def test_a_users_own_setting_is_restored_whatever_happens_in_the_block(amd):
    torch.set_float32_matmul_precision("high")
    with pytest.raises(KeyError), cpu.fast_products(True):
        raise KeyError
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    assert after == "high"


@pytest.fixture
def compiler():
    if not shutil.which("g++"):
        pytest.skip("needs a C++ compiler (Debian: g++)")
    torch.compiler.reset()  # what other tests compiled counts towards PyTorch's limit
    yield
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's own compiler
@pytest.mark.parametrize("separate_scale", [False, True])
@pytest.mark.parametrize(
    ("basis", "base", "dtype"),
    [
        (BSpline(), "silu", torch.float32),
        (BSpline(), "silu", torch.bfloat16),
        (BSpline(4, 5, (-2.0, 2.0)), "zero", torch.float64),
        (GaussianRBF(), "identity", torch.float32),
        (Chebyshev(), "silu", torch.float32),
    ],
    ids=str,
)
def test_a_compiled_layer_computes_the_same(compiler, basis, base, dtype, separate_scale):
    layer = KANLinear(6, 3, basis=basis, base=base, separate_scale=separate_scale, dtype=dtype)
    leaves = [torch.randn(6, 9, dtype=dtype).T.requires_grad_(), *layer.parameters()]

    def output_and_gradients(apply):
        y = apply(layer, leaves[0])
        return [y, *torch.autograd.grad(y.square().sum(), leaves)]

    def apply(layer, x):
        return layer(x)

    expected = output_and_gradients(apply)
    with cpu.compiler(True) as compiled:
        found = output_and_gradients(compiled(apply))
    rounding = 0.05 if dtype == torch.bfloat16 else None
    torch.testing.assert_close(found, expected, rtol=rounding, atol=rounding)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [kan, mlp])
def test_compiled_training_gives_the_same_losses(compiler, few_digits, model):
    def losses(compiled):
        torch.manual_seed(0)
        config = TrainingConfig(epochs=2, batch_size=80)
        history = train(model(few_digits.shape, 4), few_digits, config, compiled=compiled)
        return history.train_loss + history.test_loss

    expected = losses(compiled=False)
    assert losses(compiled=True) == pytest.approx(expected, rel=1e-4)
    assert losses(compiled=False) == expected


class Tells(nn.Module):
    """Ones where its forward pass is compiled, zeros elsewhere."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return 0 * self.unused + torch.full_like(x, float(torch.compiler.is_compiling()))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_training_compiles_full_batches_alone_and_only_when_asked_to(compiler):
    split = Split(torch.zeros(20, 1, 2, 2), torch.zeros(20, dtype=torch.int64))
    images = Images("black", split, split, ("0",))
    config = TrainingConfig(epochs=1, batch_size=8)  # two full batches, and four images

    def losses(**options):
        history = train(Autoencoder(nn.Identity(), Tells()), images, config, **options)
        return history.train_loss + history.test_loss

    assert cpu.passes_of(True) == "compiled" and cpu.passes_of(False) == "eager"
    assert losses() == [0, 0]
    assert losses(compiled=True) == pytest.approx([2 / 3, 0])
    assert losses(compiled=False) == [0, 0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_every_model_of_a_process_is_compiled(compiler):
    models = [nn.Sequential(*(Tells() for _ in range(depth))) for depth in range(1, 11)]
    x, before = torch.zeros(2, 3), dynamo.get_config_copy()
    with cpu.compiler(True) as compiled:  # by itself, PyTorch compiles 8 forms at most
        function = compiled(lambda model: model(x))
        assert all(function(model).all() for model in models)
    assert dynamo.get_config_copy() == before


def test_without_a_compiler_training_stays_eager(monkeypatch):
    def refuse(*_, **__):  # as PyTorch does where no C++ compiler is found
        raise RuntimeError("no working C++ compiler")

    monkeypatch.setattr(torch, "compile", refuse)
    assert cpu.passes_of(True) == "eager"
    with cpu.compiler(True) as compiled:
        assert compiled(torch.neg) is torch.neg
