# From experiments/<name>.yaml to its tables and figures: one papermill job a run, then two notebooks.
#   snakemake --profile profiles/local --config experiment=mnist
# --config also takes results=, figures= (folders) and fast_cpu=false.
# A record is never made twice: delete it to have it made again.
from kanlib.experiments import load_experiment

NAME = str(config.get("experiment", "digits"))
RESULTS = str(config.get("results", "results"))
FIGURES = str(config.get("figures", "figures"))
EXPERIMENT_FILE = NAME if NAME.endswith(".yaml") else f"experiments/{NAME}.yaml"
EXPERIMENT = load_experiment(EXPERIMENT_FILE)
RUNS = {str(run.path(RESULTS)): run for run in EXPERIMENT.runs()}
STEM = Path(EXPERIMENT_FILE).stem

# Silent in batch, exact on every road (see the guard in the notebooks), and one thread a job: two
# jobs side by side beat one job of two threads. glibc's malloc keeps large blocks instead of
# returning them to the system at every step, which costs as much as the arithmetic.
PAPERMILL = (
    "env TQDM_DISABLE=1 OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads} "
    "MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=4294967296 MALLOC_TOP_PAD_=67108864 "
    "papermill --no-progress-bar --log-output -k python3"
)


def parameters(wildcards, output):
    """The YAML that papermill passes to the training notebook."""
    import json

    settings = RUNS[output.record].model_dump() | {"results_dir": RESULTS}
    return json.dumps(settings | {"fast_cpu": bool(config.get("fast_cpu", True))})


rule all:
    input:
        list(RUNS),


rule records:
    """The runs alone, without tables and figures."""
    input: list(RUNS)


rule dataset:
    """Find (or download) and decode a data set once, before any run needs it."""
    output: touch("build/datasets/{dataset}.ready")
    message: "data set {wildcards.dataset}: find, decode, check"
    shell: "python -m kanlib.data {wildcards.dataset}"


rule run:
    """One record. The library is not an input: a record says which commit made it."""
    input: data=ancient("build/datasets/{dataset}.ready")
    output:
        record=RESULTS + "/runs/{dataset}/{model}/{run}.json",
        arrays=RESULTS + "/runs/{dataset}/{model}/{run}.npz",
    params: yaml=parameters
    log: notebook="build/notebooks/{dataset}/{model}/{run}.ipynb"
    threads: 1
    message: "run {wildcards.dataset} {wildcards.model} {wildcards.run}"
    shell:
        PAPERMILL + " notebooks/02_train_autoencoder.ipynb {log.notebook} -y {params.yaml:q}"
        " > {log.notebook}.txt 2>&1 || {{ tail -n 20 {log.notebook}.txt >&2; exit 1; }}"
