"""Weights as files: the model that was trained, or an error that names the file."""

import json
import pickle
from pathlib import Path

import pytest
import torch
from records import ARRAYS, make_record
from safetensors import safe_open
from safetensors.torch import save as pack_tensors

import kanlib
from kanlib import MODELS, KANLinear
from kanlib.data import Images
from kanlib.experiments import Run, execute, has_weights, load, load_record, save_record
from kanlib.experiments.weights import pack
from kanlib.models import Autoencoder
from kanlib.nn import FAMILIES

SHAPE = (1, 8, 8)
RUNS = [
    *(Run(model=name, bottleneck=3) for name in MODELS),
    *(Run(model="kan-pure", bottleneck=3, basis=name) for name in FAMILIES if name != "bspline"),
    Run(model="spline-mlp", bottleneck=3, basis="rational"),
    Run(bottleneck=3, hidden=6, grid_size=2, spline_order=2, grid_range=1.5, base="zero"),
    Run(bottleneck=3, basis="chebyshev", degree=2, separate_scale=False),
    Run(bottleneck=3, basis="gaussian-rbf", layer_norm=True),
    Run(bottleneck=3, refine="finer", layer_norm=True),
    Run(bottleneck=3, refine="finer"),
    Run(model="kan-pure", bottleneck=3, refine="longer", output="tanh"),
    Run(model="kan-pure", bottleneck=3, update_grid="knots", hidden=4),
    Run(bottleneck=3, update_grid="range", refine="finer"),
    Run(bottleneck=3, update_grid="range", basis="gaussian-rbf"),
    Run(model="kan-conv", bottleneck=3, basis="chebyshev", match_parameters=True),
    Run(model="kan-conv", bottleneck=3, refine="longer", separate_scale=False),
    Run(model="conv", bottleneck=3, match_parameters=True, output="linear"),
]


def short(run: Run) -> str:
    """What sets a run of these tests apart."""
    return ",".join([run.model, *(f"{k}={v}" for k, v in run.changes().items())])


@pytest.mark.parametrize("run", RUNS, ids=short)
def test_a_model_comes_back_bit_for_bit(run, few_digits: Images, tmp_path: Path):
    if run.model != "pca":  # it is fitted
        run = Run(**run.model_dump() | {"epochs": 2})
    result = execute(run, few_digits).save(tmp_path)
    state = torch.get_rng_state()
    model = load(result.record)
    assert torch.equal(torch.get_rng_state(), state)
    trained = result.model.state_dict()
    assert model.state_dict().keys() == trained.keys()
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, trained[name]), name
    pixels = few_digits.test.images
    with torch.inference_mode():
        assert torch.equal(model(pixels), result.model(pixels))
    assert not model.training
    bases, others = (  # as text: grids of their own, equal above, are compared by identity
        [(repr(m.basis), m.base) for m in one.modules() if isinstance(m, KANLinear)]
        for one in (model, result.model)
    )
    assert bases == others


@pytest.fixture(scope="module")
def saved(few_digits: Images, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The path of a record with weights; tests that change its files copy them."""
    return execute(Run(model="pca"), few_digits).save(tmp_path_factory.mktemp("saved")).record.path


@pytest.fixture
def copy(saved: Path, tmp_path: Path) -> Path:
    """A copy of that record, and of its weights."""
    for path in (saved, saved.with_suffix(".safetensors")):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    return tmp_path / saved.name


def test_a_model_is_loaded_by_its_record_by_a_path_or_by_the_file_of_its_weights(saved: Path):
    weights = saved.with_suffix(".safetensors")
    models = [kanlib.load(way) for way in (load_record(saved), saved, str(saved), weights)]
    for model in [*models, kanlib.load(str(weights))]:
        assert torch.equal(model.get_parameter("mean"), models[0].get_parameter("mean"))


def test_without_weights_a_record_says_what_to_do(tmp_path: Path, copy: Path):
    copy.with_suffix(".safetensors").unlink()
    older = save_record(make_record(Run()), tmp_path, ARRAYS)
    with pytest.raises(ValueError, match="seed=7"):  # it lies nowhere
        load(make_record(Run(seed=7)))
    for record in (older, load_record(copy)):
        assert not has_weights(record)
        for way in (record, record.path):
            with pytest.raises(FileNotFoundError, match="execute") as caught:
                load(way)
            assert str(record.path) in str(caught.value)


@pytest.mark.parametrize("name", ["no.json", "no.safetensors"])
def test_a_path_without_a_file_is_named(tmp_path: Path, name: str):
    with pytest.raises(FileNotFoundError, match=name):
        load(tmp_path / name)


@pytest.mark.parametrize("name", ["", "model.pt"])
def test_a_path_of_another_kind_is_named(tmp_path: Path, name: str):
    with pytest.raises(ValueError, match="record=") as caught:
        load(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def refused(record: Path, weights: Path) -> None:
    """By the record or alone: a ValueError that names the file of weights."""
    for way in (record, weights):
        with pytest.raises(ValueError) as caught:
            load(way)
        assert str(weights) in str(caught.value)


@pytest.mark.parametrize("length", [0, 8, 100, -1])
def test_truncated_weights_are_refused(copy: Path, length: int):
    weights = copy.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:length])
    refused(copy, weights)


def test_other_weights_than_those_the_record_names_are_not_taken(copy: Path):
    weights = copy.with_suffix(".safetensors")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert isinstance(load(weights), Autoencoder)  # apart from its record it is whole
    with pytest.raises(ValueError) as caught:
        load(copy)
    assert str(weights) in str(caught.value)


GOOD = {"components": torch.zeros(8, 64), "mean": torch.zeros(64)}


def origin(shape: object = SHAPE, **run: object) -> dict[str, str]:
    """What a file of weights says of itself."""
    whole = Run(model="pca").model_dump() | run
    return {"kanlib": json.dumps({"run": whole, "shape": shape})}


@pytest.mark.parametrize(
    ("tensors", "metadata"),
    [
        (GOOD, None),
        (GOOD, {"kanlib": "PCA"}),
        (GOOD, {"kanlib": '{"run": 1, "shape": [1, 8, 8]}'}),
        (GOOD, origin(colour="red")),
        (GOOD, origin(shape=(8, 8))),
        (GOOD, origin(shape=(1, 9, 9))),
        (GOOD, origin(model="kan")),
        ({"mean": torch.zeros(64)}, origin()),
        (GOOD | {"more": torch.zeros(1)}, origin()),
    ],
)
def test_foreign_weights_are_refused(tmp_path: Path, tensors, metadata):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(pack_tensors(tensors, metadata))
    with pytest.raises(ValueError) as caught:
        load(path)
    assert str(path) in str(caught.value)


class Trap:
    """Does harm when it is unpickled."""

    def __reduce__(self):
        return Path.touch, (Path("harm"),)


@pytest.mark.parametrize("write", [pickle.dump, torch.save])
def test_no_pickle_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, copy: Path, write):
    monkeypatch.chdir(tmp_path)
    weights = copy.with_suffix(".safetensors")
    with weights.open("wb") as file:
        write(Trap(), file)
    refused(copy, weights)
    assert not Path("harm").exists()


def test_the_file_says_of_which_run_and_shape_it_is(saved: Path):
    with safe_open(saved.with_suffix(".safetensors"), "pt") as file:  # as others read it
        said = json.loads(file.metadata()["kanlib"])
        assert set(file.keys()) == {"components", "mean"}
    assert Run(**said["run"]) == load_record(saved).run
    assert said["shape"] == list(SHAPE)


def test_the_same_model_makes_the_same_file():
    run = Run(model="mlp", bottleneck=3)
    assert len({pack(run.build_model(SHAPE), run, SHAPE) for _ in range(8)}) == 1
