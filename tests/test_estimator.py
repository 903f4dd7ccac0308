"""The estimator for scikit-learn: its contract, its scaling, its files."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load as read_tensors
from safetensors.torch import save as pack_tensors
from scipy.sparse import csr_array
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import kanlib
from kanlib import MODELS, KANAutoencoder
from kanlib.data import load_images
from kanlib.training import TrainingDiverged

WINE: Any = load_wine(as_frame=True)
TABLE: pd.DataFrame = WINE.data
ROWS = TABLE.to_numpy()


def quick(**arguments: Any) -> KANAutoencoder:
    """An estimator that trains for a moment."""
    return KANAutoencoder(**{"max_epochs": 2, "random_state": 0, "device": "cpu"} | arguments)


@parametrize_with_checks([quick(), quick(model="pca", scaling="table"), quick(model="mlp")])
def test_it_is_what_scikit_learn_asks_of_a_transformer(estimator: BaseEstimator, check: Any):
    check(estimator)


@pytest.mark.parametrize("model", MODELS)
def test_every_model_takes_a_table(model: str):
    encoder = quick(model=model, n_components=3).fit(ROWS)
    codes = encoder.transform(ROWS)
    assert codes.shape == (178, 3)
    assert encoder.inverse_transform(codes).shape == ROWS.shape
    assert np.isfinite(encoder.score_samples(ROWS)).all()


def test_pca_of_scaled_columns_is_scikit_learns():
    encoder = quick(model="pca", n_components=3).fit(ROWS)
    scaled = MinMaxScaler((-1, 1)).fit_transform(ROWS)
    made = PCA(3).fit(scaled)
    wrong = made.inverse_transform(made.transform(scaled)) - scaled
    assert encoder.score_samples(ROWS) == pytest.approx(-(wrong**2).mean(1))
    assert encoder.score(ROWS) == pytest.approx(-(wrong**2).mean())


def test_training_makes_the_error_smaller_than_that_of_the_mean_row():
    encoder = quick(n_components=4, max_epochs=60).fit(ROWS)
    scaled = MinMaxScaler((-1, 1)).fit_transform(ROWS)
    assert -encoder.score(ROWS) < 0.6 * scaled.var(0).mean()


@pytest.mark.parametrize("scaling", ["columns", "table"])
def test_the_model_sees_values_from_minus_one_to_one(scaling: Any):
    table = ROWS.copy()
    table[:, 2] = 5.0  # constant
    table[:, 3] = 0.1 + 1e-17 * table[:, 3]
    encoder = quick(scaling=scaling).fit(table)
    seen = encoder._to_model(table)
    assert (seen.min(), seen.max()) == (-1, 1)
    if scaling == "columns":
        varying = seen.flatten(1).aminmax(dim=0)
        assert varying.min.eq(-1).all()
        assert varying.max.eq(1).tolist() == [i not in (2, 3) for i in range(13)]


@pytest.mark.parametrize("scaling", ["columns", "table"])
def test_as_many_components_as_columns_give_the_table_back(scaling: Any):
    table = ROWS.copy()
    table[:, 2] = 5.0
    encoder = quick(model="pca", n_components=13, scaling=scaling).fit(table)
    assert encoder.inverse_transform(encoder.transform(table)) == pytest.approx(table, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_computes_in_the_precision_of_the_rows(dtype: type):
    encoder = quick().fit(ROWS.astype(dtype))
    assert next(encoder.model_.parameters()).numpy(force=True).dtype == dtype
    codes = encoder.transform(ROWS.astype(dtype))
    assert codes.dtype == encoder.inverse_transform(codes).dtype == dtype


def test_sparse_rows_and_data_frames_give_the_same_codes():
    table = np.where(ROWS > 3, ROWS, 0)
    codes = quick().fit_transform(table)
    assert np.array_equal(quick().fit_transform(csr_array(table)), codes)
    assert np.array_equal(quick().fit_transform(pd.DataFrame(table)), codes)


def test_rows_in_parts_have_the_codes_of_the_whole(monkeypatch: pytest.MonkeyPatch):
    encoder = quick().fit(ROWS)
    whole = encoder.transform(ROWS)
    monkeypatch.setattr("kanlib.estimator._ROWS", 50)
    assert encoder.transform(ROWS) == pytest.approx(whole)


def test_codes_are_columns_of_a_data_frame():
    encoder = quick(n_components=3).set_output(transform="pandas")
    codes = encoder.fit_transform(TABLE)
    names = ["kanautoencoder0", "kanautoencoder1", "kanautoencoder2"]
    assert list(codes) == names == list(encoder.get_feature_names_out())
    assert codes.index.equals(TABLE.index)
    assert encoder.inverse_transform(codes).shape == TABLE.shape


def test_the_same_seed_gives_the_same_codes():
    first, second = (quick(random_state=seed).fit_transform(ROWS) for seed in (1, 1))
    assert np.array_equal(first, second)
    assert not np.allclose(first, quick(random_state=2).fit_transform(ROWS))


def test_a_grid_search_in_a_pipeline_finds_a_model():
    pipeline = make_pipeline(StandardScaler(), quick())
    grid = {
        "kanautoencoder__model": ["pca", "mlp"],
        "kanautoencoder__n_components": [1, 2],
    }
    found: Any = GridSearchCV(pipeline, grid, cv=2)
    found.fit(ROWS)
    assert found.best_params_ == {
        "kanautoencoder__model": "pca",
        "kanautoencoder__n_components": 2,
    }


def test_early_stopping_holds_rows_out_and_keeps_the_best_epoch():
    encoder = quick(early_stopping=True, max_epochs=300, learning_rate=0.1).fit(ROWS)
    history = encoder.history_
    assert history is not None and history.best_epoch is not None
    assert len(history.train_loss) == history.best_epoch + 10
    assert not history.test_loss
    assert encoder.run_.validation == 0.1


def test_the_rate_falls_to_a_hundredth_unless_told_otherwise():
    assert quick(max_epochs=50).fit(ROWS).run_.training().decay ** 50 == pytest.approx(0.01)
    assert quick(options={"decay": 0.5}).fit(ROWS).run_.training().decay == 0.5


def test_options_reach_the_model():
    encoder = quick(options={"grid_size": 9, "weight_decay": 0.0}).fit(ROWS)
    assert encoder.run_.grid_size == 9
    assert encoder.run_.training().weight_decay == 0.0


def test_a_bar_is_shown_when_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.delenv("TQDM_DISABLE")
    quick().fit(ROWS)
    assert capsys.readouterr().err == ""
    quick(verbose=True).fit(ROWS)
    assert "training" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"n_components": 14}, "n_components=14"),
        ({"n_components": 0}, "n_components=0"),
        ({"n_components": 2.5}, "n_components=2.5"),
        ({"model": "kam"}, "model='kam'"),
        ({"model": "pca", "hidden": 3}, "hidden=3"),
        ({"basis": "splines"}, "basis='splines'"),
        ({"scaling": "rows"}, "scaling='rows'"),
        ({"learning_rate": -1.0}, "learning_rate=-1"),
        ({"max_epochs": 0}, "max_epochs=0"),
        ({"early_stopping": True, "validation_fraction": 1.5}, "validation_fraction=1.5"),
        ({"early_stopping": True, "validation_fraction": 0.9999}, "validation_fraction=0.9999"),
        ({"options": {"gridsize": 3}}, "gridsize=3"),
        ({"options": "grid_size"}, "options='grid_size'"),
        ({"options": {1: 2}}, r"options=\{1: 2\}"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"device": "meta"}, "device='meta'"),
        ({"device": ""}, "device=''"),
        ({"early_stopping": "false"}, "early_stopping='false'"),
        ({"verbose": "no"}, "verbose='no'"),
    ],
)
def test_a_wrong_argument_is_named_with_its_value(arguments: dict[str, Any], named: str):
    with pytest.raises(ValueError, match=named):
        quick(**arguments).fit(ROWS)


def test_what_diverges_says_so():
    with pytest.raises(TrainingDiverged, match="learning_rate"):
        quick(learning_rate=1e30, max_epochs=20).fit(ROWS)


def test_masked_values_are_refused_and_a_mask_without_any_is_not():
    masked = np.ma.masked_less(ROWS, np.median(ROWS))
    encoder = quick().fit(np.ma.array(ROWS))
    for method in (quick().fit, encoder.transform, encoder.score, encoder.inverse_transform):
        with pytest.raises(ValueError, match="X has masked values"):
            method(masked)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_range_beyond_the_precision_is_named(dtype: Any):
    table = ROWS.astype(dtype)
    table[0, 0], table[1, 0] = np.finfo(dtype).max, np.finfo(dtype).min
    with pytest.raises(ValueError, match=rf"too far apart for {np.dtype(dtype)}"):
        quick().fit(table)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_rows_that_are_not_finite_are_refused(value: float):
    table = ROWS.copy()
    table[3, 4] = value
    encoder = quick().fit(ROWS)
    for method in (quick().fit, encoder.transform, encoder.score, encoder.inverse_transform):
        with pytest.raises(ValueError, match=r"NaN|infinity"):
            method(table)


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows.astype(">f8"),
        lambda rows: np.asfortranarray(rows),
        lambda rows: rows[::-1].copy()[::-1],
        lambda rows: torch.from_numpy(rows).requires_grad_(),
        lambda rows: rows.astype(object),
        lambda rows: rows.astype(np.longdouble),
    ],
    ids="big-endian Fortran reversed tensor objects longdouble".split(),
)
def test_rows_may_lie_in_memory_as_they_like(change: Any):
    rows = np.array(ROWS, dtype=np.float64)
    encoder = quick().fit(rows)
    changed = quick().fit(change(rows))
    codes = encoder.transform(rows)
    np.testing.assert_array_equal(changed.transform(change(rows)), codes)
    np.testing.assert_array_equal(
        changed.inverse_transform(change(codes)), encoder.inverse_transform(codes)
    )


def test_rows_of_sixteen_bits_are_numbers():
    rows = torch.from_numpy(np.array(ROWS)).bfloat16()
    codes = quick().fit_transform(rows)
    np.testing.assert_array_equal(codes, quick().fit_transform(rows.float().numpy()))


def test_rows_too_far_beyond_those_at_fit_are_refused():
    encoder = quick().fit(ROWS.astype(np.float32))
    with pytest.raises(ValueError, match=r"1e\+300.* float32"):
        encoder.transform(np.full_like(ROWS, 1e300))


def test_codes_of_another_size_are_refused():
    with pytest.raises(ValueError, match=r"\(178, 3\)"):
        quick().fit(ROWS).inverse_transform(ROWS[:, :3])


def same(first: KANAutoencoder, second: KANAutoencoder, table: Any = TABLE) -> bool:
    """Whether two estimators make the same of a table, bit for bit."""
    codes = first.transform(table)
    return np.array_equal(codes, second.transform(table)) and np.array_equal(
        first.inverse_transform(codes), second.inverse_transform(codes)
    )


@pytest.mark.parametrize("scaling", ["columns", "table"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_file_gives_the_estimator_back(scaling: Any, dtype: type, tmp_path: Path):
    table = TABLE.astype(dtype)
    encoder = quick(scaling=scaling, hidden=5, options={"degree": 3}, basis="chebyshev")
    encoder.fit(table).save(tmp_path / "wine.safetensors")
    loaded = KANAutoencoder.load(tmp_path / "wine.safetensors")
    assert same(encoder, loaded, table)
    assert loaded.get_params() == encoder.get_params() | {"device": None}
    assert list(loaded.feature_names_in_) == list(TABLE)
    assert loaded.score(table) == encoder.score(table)
    again: Any = clone(loaded)
    assert same(again.fit(table), encoder, table)  # it knows its seed


def test_arguments_of_numpy_and_torch_are_kept(tmp_path: Path):
    first: Any = quick(
        n_components=torch.tensor(2),
        learning_rate=np.float32(0.25),
        random_state=np.int64(3),
        options={"grid_size": np.int64(4)},
    )
    first.fit(ROWS).save(tmp_path / "rows.safetensors")
    loaded = KANAutoencoder.load(tmp_path / "rows.safetensors")
    kept = {
        "n_components": 2,
        "learning_rate": 0.25,
        "random_state": 3,
        "options": {"grid_size": 4},
    }
    assert kept.items() <= loaded.get_params().items()
    assert same(first, loaded, ROWS)


def test_the_bare_model_is_in_the_file(tmp_path: Path):
    encoder = quick().fit(ROWS)
    encoder.save(tmp_path / "wine.safetensors")
    bare = kanlib.load(tmp_path / "wine.safetensors")
    for name, tensor in bare.state_dict().items():
        assert torch.equal(tensor, encoder.model_.state_dict()[name])


def test_a_pickle_gives_the_estimator_back():
    encoder = quick().fit(TABLE)
    assert same(encoder, pickle.loads(pickle.dumps(encoder)))


def test_an_estimator_that_is_not_fitted_is_not_saved(tmp_path: Path):
    with pytest.raises(Exception, match="not fitted"):
        quick().save(tmp_path / "wine.safetensors")
    assert not list(tmp_path.iterdir())


def test_the_name_of_a_file_has_its_ending(tmp_path: Path):
    for call in (quick().fit(ROWS).save, KANAutoencoder.load):
        with pytest.raises(ValueError, match="safetensors"):
            call(tmp_path / "wine.pkl")


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "wine.safetensors"
    quick().fit(TABLE).save(path)
    return path


def with_origin(path: Path, change: Any) -> None:
    """Change what a file says of its model; ``change`` gets it as text."""
    content = path.read_bytes()
    length = int.from_bytes(content[:8], "little")
    origin = json.loads(content[8 : 8 + length])["__metadata__"]["kanlib"]
    path.write_bytes(pack_tensors(read_tensors(content), {"kanlib": change(origin)}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"low": [', '"low": [1.0, '),
        ('"span": [', '"span": ["1", '),
        ('"columns": [', '"columns": ["one more", '),
        ('"scaling": "columns"', '"scalings": "columns"'),
        ('"estimator"', '"estimators"'),
        ('"bottleneck": 2', '"bottleneck": 13'),
        ('"shape": [1, 1, 13]', '"shape": [1, 1, 1000000000000]'),
        ('"shape": [1, 1, 13]', '"shape": [13]'),
    ],
)
def test_a_file_that_was_changed_is_refused(saved: Path, old: str, new: str):
    def change(origin: str) -> str:
        assert old in origin
        return origin.replace(old, new)

    with_origin(saved, change)
    with pytest.raises(ValueError, match=r"wine\.safetensors does not hold"):
        KANAutoencoder.load(saved)


def test_a_file_of_another_kind_is_refused(saved: Path):
    saved.write_bytes(pickle.dumps(quick()))
    with pytest.raises(ValueError, match=r"wine\.safetensors"):
        KANAutoencoder.load(saved)
    saved.unlink()
    with pytest.raises(FileNotFoundError, match=r"wine\.safetensors"):
        KANAutoencoder.load(saved)


def test_the_weights_of_a_run_are_no_estimator(tmp_path: Path):
    run = kanlib.experiments.Run(model="pca", bottleneck=2)
    path = kanlib.experiments.execute(run, load_images("digits")).save(tmp_path).record.path
    with pytest.raises(ValueError, match="does not hold an estimator"):
        KANAutoencoder.load(path.with_suffix(".safetensors"))
