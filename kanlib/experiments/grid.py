"""Experiments: YAML files that list runs. The Snakefile turns the runs into jobs."""

import itertools
import re
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from kanlib.experiments.record import check_one_split
from kanlib.experiments.run import Run
from kanlib.strict import explain

# What an experiment without a notebook of its own can draw; see notebooks/04_figures.ipynb.
FigureKind = Literal["mse", "reconstructions", "edges", "training", "confusion"]
FIGURE_KINDS = get_args(FigureKind)


class _Yaml(yaml.SafeLoader):
    """Plain words as YAML 1.2 reads them: 1e-3 is a number, and "no" a word.

    A key that is there twice is an error.
    """

    yaml_implicit_resolvers = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """The mapping of a node."""
        keys = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for name, count in Counter(key.value for key in keys).items():
            if count > 1:
                [again, *_] = [key for key in keys if key.value == name][1:]
                raise yaml.MarkedYAMLError(f"{name} is there twice", again.start_mark)
        return super().construct_mapping(node, deep)


for _tag, _pattern, _first in (  # the plain words of the core schema
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", "true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", "[-+]?(0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?", list("-+0123456789.")),
    ("float", "[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
    ("merge", "<<", ["<"]),
):
    _Yaml.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first)


class Experiment(BaseModel):
    """The schema of experiments/<name>.yaml.

    Attributes:
        title: heads its figures and its part of the web pages.
        about: what is asked, in a sentence or two.
        notebook: that makes the table and the figure, where not the usual two notebooks do; its
            path from the top of the repository.
        figures: those to draw where there is no ``notebook``: errors ("mse"), reconstructions,
            functions on edges, errors after each epoch ("training"), and how the confusion
            matrix differs from the published one ("confusion").
        also: names of other experiments whose records that notebook reads.
        common: parameters of every run (see ``kanlib.experiments.Run``).
        grid: each entry maps parameters to a value or a list of values, and stands for all their
            combinations.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    about: str
    notebook: str | None = None
    figures: tuple[FigureKind, ...] = ("mse", "reconstructions", "edges")
    also: list[str] = []
    common: dict[str, Any] = {}
    grid: Annotated[list[dict[str, Any]], Field(min_length=1)]

    @model_validator(mode="after")
    def _names_its_reader(self) -> "Experiment":
        if self.notebook is None and self.also:
            raise ValueError(f"also={self.also} is for a notebook; notebook must name it")
        if self.notebook and "figures" in self.model_fields_set:
            raise ValueError(f"figures={self.figures} has no meaning with a notebook of its own")
        return self

    @property
    def dataset(self) -> str:
        """The data set of all runs."""
        return self.runs()[0].dataset

    @property
    def heading(self) -> str:
        """The title, and the seeds of all runs: "MNIST, small codes (seeds 0 to 4)"."""
        seeds = sorted({run.seed for run in self.runs()})
        if len(seeds) == 1:
            named = f"seed {seeds[0]}"
        elif seeds == list(range(seeds[0], seeds[-1] + 1)):
            named = f"seeds {seeds[0]} to {seeds[-1]}"
        else:
            named = f"seeds {', '.join(map(str, seeds))}"
        return f"{self.title} ({named})"

    def runs(self) -> list[Run]:
        """All runs, in the order of the file, each once.

        Raises:
            ValueError: a parameter is unknown, its value invalid, or a list empty; or the runs are
                of several data sets, or measured on several splits.
        """
        runs: dict[Run, None] = {}
        for entry in self.grid:
            settings = self.common | entry
            for name, value in settings.items():
                if value == []:  # it would leave out all runs of this entry
                    raise ValueError(f"{name}=[] must have at least one value")
            lists = [v if isinstance(v, list) else [v] for v in settings.values()]
            for values in itertools.product(*lists):
                chosen: dict[str, Any] = dict(zip(settings, values, strict=True))
                runs[Run(**chosen)] = None
        datasets = sorted({run.dataset for run in runs})
        if len(datasets) > 1:
            raise ValueError(f"dataset={datasets}: an experiment compares models on one data set")
        check_one_split(runs)
        if self.notebook is None and {run.measured_on for run in runs} != {"test"}:
            raise ValueError(
                "measured_on='validation' needs a notebook; the usual ones show test errors"
            )
        return list(runs)


def find_experiment(name: str, top: str | Path = ".") -> Path:
    """Where an experiment is written down.

    Args:
        name: of a file in ``top``/experiments/, without .yaml; or the path of a file that ends in
            .yaml or .yml.
        top: of the repository.

    Returns:
        The path, whether there is a file or not.
    """
    is_path = name.endswith((".yaml", ".yml"))
    return Path(name) if is_path else Path(top) / f"experiments/{name}.yaml"


def load_experiment(path: str | Path) -> Experiment:
    """Read and check an experiment file.

    Raises:
        FileNotFoundError: no such file; lists the experiments beside it.
        ValueError: the file is not YAML, or a key or value is not valid; names file and key.
    """
    path = Path(path)
    if not path.exists():
        there = sorted(p.stem for p in path.parent.glob("*.yaml"))
        raise FileNotFoundError(f"{path} does not exist; there are: {', '.join(there) or 'none'}")
    try:
        content = yaml.load(path.read_bytes(), _Yaml)  # a SafeLoader
        if not isinstance(content, dict):
            raise ValueError(f"the file must have the keys {', '.join(Experiment.model_fields)}")
        experiment = Experiment.model_validate(content)
        experiment.runs()
    except ValidationError as error:
        raise ValueError(f"{path}: {explain(error, list(Experiment.model_fields))}") from None
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise ValueError(f"{path}: {error}") from None
    return experiment
