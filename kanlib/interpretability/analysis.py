"""Analyses: every measure of interpretability of one trained model, and their files.

An analysis is one JSON file, named as the record of its run. The arrays for its pictures, and its
codes, lie beside it (.npz). Both are written whole or not at all, the analysis last.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from numpy.typing import NDArray
from pydantic import Field, ValidationError

from kanlib.experiments.environment import Environment
from kanlib.experiments.record import Arrays, InFile
from kanlib.experiments.run import Run
from kanlib.files import pack_arrays, read_arrays, write_together
from kanlib.interpretability.formulas import Simplicity
from kanlib.strict import Checked, explain

SCHEMA = 1
CURE = "delete it, and kanlib.interpretability.analysis_of makes it again"


class Sparsity(Checked):
    """How unequal the edges of a layer are.

    Attributes:
        edges: how many.
        effective: exp(entropy) of their importance / edges, in (0, 1].
        gini: of their importance, in [0, 1).
    """

    edges: int
    effective: float
    gini: float


class Pruned(Checked):
    """A model with some of its edges.

    Attributes:
        kept: fraction of the edges.
        numbers: weights on them, without biases and splines on nodes; a KAN's edge has one for each
            of its functions.
        mse: on the test images.
    """

    kept: float
    numbers: int
    mse: float


class Analysis(InFile):
    """Every measure of one trained model.

    A field that is added later gets a default, so that older analyses stay valid.

    Attributes:
        schema_version: of this description.
        run: what was trained.
        test_mse: of the whole model.
        ablation: part ("", "encoder", "decoder") -> constant, line, ... -> test MSE with the
            curved functions of that part replaced; empty for PCA.
        sparsity: KAN or dense layer -> its edges; empty for CNNs and PCA, as is ``pruning``.
        pruning: rule -> a model for each fraction in ``kanlib.interpretability.study.KEPT``.
        formulas: KAN layer -> how far its edges are simple formulas.
        probe: accuracy of a linear classifier on the code, on the test images.
        information: bits that each unit of the code has on the class, on the test images.
        data_fingerprint: SHA-256 of all pixels and labels.
        environment: what produced the analysis.
    """

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA)] = 1
    test_mse: float
    ablation: dict[str, dict[str, float]]
    sparsity: dict[str, Sparsity]
    pruning: dict[str, tuple[Pruned, ...]]
    formulas: dict[str, Simplicity]
    probe: float
    information: Annotated[tuple[float, ...], Field(min_length=1)]
    data_fingerprint: str
    environment: Environment

    def arrays(self) -> Arrays:
        """What lies beside it: its codes and pictures, see ``kanlib.interpretability.analyse``.

        Raises:
            FileNotFoundError: there is no such file.
            ValueError: the analysis was never saved, or the file is damaged; names it.
        """
        return read_arrays(self.path.with_suffix(".npz"))


def analysis_path(run: Run, results_dir: str | Path) -> Path:
    """Where the analysis of a run lies: results_dir/interpretability/<dataset>/<model>/<...>."""
    name = run.path(results_dir).name
    return Path(results_dir) / "interpretability" / run.dataset / run.model / name


def save_analysis(
    analysis: Analysis, results_dir: str | Path, arrays: Mapping[str, NDArray[Any]]
) -> Analysis:
    """Write an analysis and its arrays; both or neither.

    Args:
        analysis: to be written as JSON.
        results_dir: folder that holds interpretability/; made if missing.
        arrays: by name, for the .npz file.

    Returns:
        The analysis, with its path.

    Raises:
        OSError: the files could not be written; what was there before is untouched.
    """
    path = analysis_path(analysis.run, results_dir)
    text = analysis.model_dump_json(indent=1) + "\n"
    write_together({path: text, path.with_suffix(".npz"): pack_arrays(arrays)})
    return analysis.at(path)


def load_analysis(run: Run, results_dir: str | Path) -> Analysis:
    """The analysis of ``run``.

    Raises:
        FileNotFoundError: there is none.
        ValueError: the file is no whole, valid analysis, or one of another run; names the file.
    """
    path = analysis_path(run, results_dir)
    try:
        analysis = Analysis.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is not a valid analysis: {explain(error, [])}; {CURE}") from None
    if analysis.run != run:
        raise ValueError(f"{path} is the analysis of another run, {analysis.run!r}; {CURE}")
    return analysis.at(path)
