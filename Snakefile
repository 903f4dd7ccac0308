# From experiments/<name>.yaml to its tables and figures: one papermill job a run, then a notebook
# for the tables and one for the figures.
#
#   snakemake --profile profiles/local --config experiment=mnist
#
# --config also takes results=DIR, figures=DIR and fast_cpu=false (see kanlib/cpu.py).
# A record is never made twice: its own commit is written in it. Delete it to have it made again.
import json
import sys

from kanlib.experiments import load_experiment

RESULTS = str(config.get("results", "results"))
FIGURES = str(config.get("figures", "figures"))
NAME = str(config.get("experiment", "digits"))
EXPERIMENT = Path(NAME if NAME.endswith(".yaml") else f"experiments/{NAME}.yaml")
RUNS = {str(run.path(RESULTS)): run for run in load_experiment(EXPERIMENT).runs()}
TABLES = expand(
    "{folder}/{stem}{table}.{ending}",
    folder=RESULTS,
    stem=EXPERIMENT.stem,
    table=["", "_mse", "_accuracy", "_leak"],
    ending=["csv", "md", "tex"],
)
PICTURES = expand(
    "{folder}/{stem}_{figure}.{ending}",
    folder=FIGURES,
    stem=EXPERIMENT.stem,
    figure=["mse", "accuracy", "reconstructions", "training", "edges", "confusion"],
    ending=["png", "pdf"],
)
# What reads records; a change there makes tables and figures anew.
READERS = [f"kanlib/{room}.py" for room in ("results", "published", "statistics", "tables", "figures")]

# One thread a job: two small jobs side by side beat one job of two threads. glibc's malloc keeps
# large blocks instead of returning them to the system at each step, which can cost as much time as
# the arithmetic.
PAPERMILL = (
    "env TQDM_DISABLE=1 OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"
    " MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=67108864"
    f" {sys.executable} -m papermill --no-progress-bar --log-output -k python3"
    " {input.notebook} {log.notebook} -y {params.yaml:q} > {log.text} 2>&1"
    # The error itself is at the end of papermill's log, below the traceback.
    " || {{ grep -E '^[A-Za-z.]+(Error|Exception|Diverged): ' {log.text} | tail -n 1 >&2; exit 1; }}"
)


def run_parameters(wildcards, output):
    """The YAML that papermill passes to the training notebook."""
    settings = RUNS[output.record].model_dump()
    settings |= {"results_dir": RESULTS, "fast_cpu": bool(config.get("fast_cpu", True))}
    return json.dumps(settings)


onstart:
    # Data are found or downloaded, decoded and checked once, before any run needs them.
    for dataset in sorted({run.dataset for path, run in RUNS.items() if not Path(path).exists()}):
        shell("{sys.executable} -m kanlib.data {dataset}")


onsuccess:
    print("Tables:  " + " ".join(p for p in TABLES if p.endswith(".csv")) + " (also .md, .tex)")
    print("Figures: " + " ".join(p for p in PICTURES if p.endswith(".png")) + " (also .pdf)")


rule all:
    # The records too: a table that is there does not excuse a record that is not.
    input: RUNS, TABLES, PICTURES
    message: "tables and figures of {EXPERIMENT} are up to date"


rule records:
    input: RUNS
    message: "records of {EXPERIMENT} are there"


rule run:
    input: notebook=ancient("notebooks/02_train_autoencoder.ipynb")
    output:
        record=RESULTS + "/runs/{dataset}/{model}/{run}.json",
        arrays=RESULTS + "/runs/{dataset}/{model}/{run}.npz",
    params: yaml=run_parameters
    log:
        notebook="build/notebooks/{dataset}/{model}/{run}.ipynb",
        text="build/notebooks/{dataset}/{model}/{run}.txt",
    threads: 1
    message: "run {wildcards.dataset} {wildcards.model} {wildcards.run}"
    shell: PAPERMILL


rule tables:
    input: EXPERIMENT, RUNS, READERS, notebook="notebooks/03_tables.ipynb"
    output: TABLES
    params: yaml=json.dumps({"experiment": str(EXPERIMENT), "results_dir": RESULTS})
    log:
        notebook=f"build/notebooks/{EXPERIMENT.stem}_tables.ipynb",
        text=f"build/notebooks/{EXPERIMENT.stem}_tables.txt",
    message: "tables of {EXPERIMENT}"
    shell: PAPERMILL


rule figures:
    input: EXPERIMENT, RUNS, READERS, notebook="notebooks/04_figures.ipynb"
    output: PICTURES
    params:
        yaml=json.dumps(
            {"experiment": str(EXPERIMENT), "results_dir": RESULTS, "figures_dir": FIGURES}
        )
    log:
        notebook=f"build/notebooks/{EXPERIMENT.stem}_figures.ipynb",
        text=f"build/notebooks/{EXPERIMENT.stem}_figures.txt",
    message: "figures of {EXPERIMENT}"
    shell: PAPERMILL
