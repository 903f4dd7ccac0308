"""Faster products and passes: only where they are exact, and never past the block."""

import shutil

import pytest
import torch
from torch._dynamo.utils import counters

from kanlib.models.dense import kan, mlp
from kanlib.nn import BSpline, GaussianRBF, KANLinear
from kanlib.nn.features import edge_features
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
    processors.write_text("processor\t: 0\nvendor_id\t: AuthenticAMD\n")
    monkeypatch.setattr(cpu, "_PROCESSORS", processors)
    return processors


def test_products_stay_exact_in_single_precision(amd):
    a, b = torch.randn(100, 500), torch.randn(500, 100)
    exact = a.double() @ b.double()
    with cpu.fast_products() as products:
        error = ((a @ b - exact).abs().max() / exact.abs().max()).item()
    assert products in ("default", "onednn")
    assert error < 2e-6


def test_it_is_on_inside_the_block_where_the_probe_finds_it_exact(amd, monkeypatch):
    monkeypatch.setattr(cpu, "_largest_error", lambda: 6e-7)
    with cpu.fast_products() as products:
        assert products == "onednn"
        assert torch.get_float32_matmul_precision() == "medium"


@pytest.mark.parametrize("processors", ["vendor_id\t: GenuineIntel\n", "CPU part\t: 0xd0c\n", None])
def test_it_is_off_where_the_default_is_faster_or_the_processor_unknown(amd, processors):
    amd.unlink()
    if processors:
        amd.write_text(processors)
    with cpu.fast_products() as products:
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


def test_it_is_off_where_the_probe_finds_shortened_numbers(amd, monkeypatch):
    monkeypatch.setattr(cpu, "_largest_error", lambda: 3e-3)  # as bfloat16
    with cpu.fast_products() as products:
        assert products == "default"
        assert torch.get_float32_matmul_precision() == "highest"


def test_the_probe_would_see_bfloat16(monkeypatch):
    class Short(torch.Tensor):
        def __matmul__(self, other):
            return (self.as_subclass(torch.Tensor).bfloat16() @ other.bfloat16()).float()

    draw = torch.randn
    monkeypatch.setattr(
        torch,
        "randn",
        lambda *shape, **options: draw(*shape, **options).as_subclass(Short),
    )
    monkeypatch.setattr(Short, "double", lambda self: self.as_subclass(torch.Tensor).double())
    assert cpu._largest_error() > 1e-4


def test_an_error_in_the_block_passes_and_the_setting_is_restored(amd):
    with pytest.raises(KeyError), cpu.fast_products():
        raise KeyError


def test_a_users_own_setting_is_what_is_restored(amd):
    torch.set_float32_matmul_precision("high")
    with cpu.fast_products():
        pass
    after = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    assert after == "high"


@pytest.fixture
def compiler():
    if not shutil.which("g++"):
        pytest.skip("needs a C++ compiler (Debian: g++)")
    torch.compiler.reset()  # each process compiles eight forms of a function, then no more
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
    ],
    ids=str,
)
def test_compiled_passes_compute_the_same(compiler, basis, base, dtype, separate_scale):
    layer = KANLinear(6, 3, basis=basis, base=base, separate_scale=separate_scale, dtype=dtype)
    leaves = [torch.randn(6, 9, dtype=dtype).T.requires_grad_(), *layer.parameters()]

    def output_and_gradients(apply):
        y = apply(layer, leaves[0])
        return [y, *torch.autograd.grad(y.square().sum(), leaves)]

    expected = output_and_gradients(apply)
    with cpu.compiled_passes() as passes:
        assert passes == "compiled"
        found = output_and_gradients(cpu.compiled(apply))
    rounding = 0.05 if dtype == torch.bfloat16 else None
    torch.testing.assert_close(found, expected, rtol=rounding, atol=rounding)


def apply(layer, x):
    return layer(x)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("model", [kan, mlp])
def test_compiled_passes_train_the_same(compiler, few_digits, monkeypatch, model):
    called = []
    compile_ = cpu._compile
    monkeypatch.setattr(cpu, "_compile", lambda f: called.append(f.__name__) or compile_(f))

    def errors():
        torch.manual_seed(0)
        config = TrainingConfig(epochs=2, batch_size=80)  # the last batch has 32
        return train(model(few_digits.shape, 4), few_digits, config).test_loss

    expected = errors()
    assert not called
    with cpu.compiled_passes():
        before = counters["stats"]["unique_graphs"]
        assert errors() == pytest.approx(expected, rel=1e-4)
    assert called == ["neg", "reconstruction_loss", "reconstruction_loss"]  # asked for per epoch
    assert counters["stats"]["unique_graphs"] - before == 1  # the full batch's alone
    with cpu.compiled_passes(enabled=False) as passes:
        assert passes == "eager"
        assert errors() == expected
    assert len(called) == 3


def test_passes_are_compiled_inside_the_block_alone(compiler):
    with pytest.raises(KeyError), cpu.compiled_passes():
        assert cpu.compiled(apply) is not apply
        raise KeyError
    assert cpu.compiled(apply) is apply


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_passes_are_compiled_for_each_size(compiler):
    sizes = range(1, 10)  # by itself, PyTorch makes 8 forms at most
    with cpu.compiled_passes():
        before = counters["stats"]["unique_graphs"]
        for size in sizes:
            cpu.compiled(edge_features)(torch.zeros(2, size), BSpline(size, 1), "zero")
    assert counters["stats"]["unique_graphs"] - before == len(sizes)


def test_without_a_compiler_passes_stay_eager(monkeypatch):
    def compile_(function, **options):
        def fail(*_):
            raise RuntimeError("No working C++ compiler found")

        return fail

    cpu._compile.cache_clear()
    monkeypatch.setattr(torch, "compile", compile_)
    with cpu.compiled_passes() as passes:
        assert passes == "eager"
        assert cpu.compiled(edge_features) is edge_features
    cpu._compile.cache_clear()
