# What all rules share: the validated configuration, names of files, and the Python that runs the stages.
import json

from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target

from shanshui.config.settings import validate
from shanshui.config.yaml_file import words_of
from shanshui.pipeline import closing, file_times, flow, launch, retention, run_checks
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.storage.system_errors import said_at_the_end

with said_at_the_end():
    WORDS = words_of(workflow.configfiles)  # Snakemake has read these files too, but takes of two equal names the last
    OWN = workflow.config_settings.overwrite_config  # --configfile and --config, without config.yaml below them
    CONFIG = validate(config, " + ".join(map(str, workflow.configfiles)), given=OWN, words=WORDS)
    check_inputs(CONFIG)
    flow.prepare_environment(SOURCE, not workflow.deployment_settings.deployment_method, CONFIG)
    FLOW = flow.Flow(CONFIG)
    GPU_JOBS = FLOW.gpu_jobs()

RUN = CONFIG.run
GPU = int(CONFIG.gpus != 0)  # of one job; a cluster looks for a node that has it

launch.prepare(workflow, max(GPU_JOBS, FLOW.largest_job()), RUN)


wildcard_constraints:
    **FLOW.wildcards(),


def settings_text(wildcards):
    """Numbers and code of one stage as JSON; equal numbers give equal text in whatever order they were written."""
    return json.dumps(FLOW.settings(wildcards.run, wildcards.stage), sort_keys=True)


def closing_words(run):
    """The last line on the screen."""
    planned = {str(file) for job in workflow.dag.jobs for file in job.output}
    return closing.closing_words(Path("results") / run, planned, workflow.touch)


def check_before_start():
    """Stop where the run would fail, or would train again what was removed on purpose; say what is limited."""
    folder = Path("results") / RUN
    planned = list(workflow.dag.needrun_jobs())
    jobs = [(job.rule.name.removesuffix("_last"), getattr(job.wildcards, "epoch", "")) for job in planned]
    if jobs and (said := FLOW.said_of_average()):
        print(said, file=sys.stderr)
    with said_at_the_end():
        findings = run_checks.examine(CONFIG, {name for name, _ in jobs}, workflow.local_exec)
        if said := run_checks.stop_at_gaps(findings):
            print(said, file=sys.stderr)
        if FLOW.finetuned:
            retention.check_plan(folder, jobs, CONFIG.select.tried())
        file_times.begin(folder)
        FLOW.remember_code()


def keep_times():
    """Write down times and contents of the run's files, so that what is touched or copied does not run again."""
    with said_at_the_end():
        file_times.record(Path("results") / RUN)


def chosen(choice, run, what="chosen", **wildcards):
    """What one of the choices of rules/select.smk came out as, best first."""
    choosing = getattr(checkpoints, choice)
    made = Path(choosing.get(run=run, **wildcards).output.choice)
    if made.exists():  # else it is being made again just now, which Snakemake does not tell from being there
        choice_made = json.loads(made.read_text())
        if FLOW.stands(choice_made, seeds=choice == "select_seed"):  # else it is of another schedule
            return choice_made[what]
    raise IncompleteCheckpointException(choosing.rule, checkpoint_target(str(made)))


def soup(run, tried):
    """The best of the soups of the best `tried` checkpoints, and what it is compared with: itself and one more."""
    best = [entry["model"] for entry in chosen("select_checkpoints", run, "ranking")]
    before = best[0] if tried == 2 else chosen("soup", run, tried=tried - 1)[0]
    return [before, flow.average_name([before, best[tried - 1]])]


def soup_scores(wildcards):
    """Scores of the soup so far and of the soup with one checkpoint more."""
    models = soup(wildcards.run, int(wildcards.tried))
    return [f"results/{wildcards.run}/score/{model}.json" for model in models]


def candidates(wildcards):
    """Scores of the chosen checkpoints, of the average of every subset of them, of soups and the moving average."""
    best = chosen("select_checkpoints", wildcards.run)
    trials = [model for tried in FLOW.soups() for model in soup(wildcards.run, tried)]
    return [f"results/{wildcards.run}/score/{model}.json" for model in FLOW.candidates(best, trials)]


def seed_scores(wildcards):
    """Scores of the chosen model under every listed seed."""
    (model,) = chosen("select_model", wildcards.run)
    return [f"results/{wildcards.run}/score/{model}/seed_{seed}.json" for seed in CONFIG.infer.seeds]


def winner(run):
    """The chosen model under the chosen seed, as folders are named."""
    (model,) = chosen("select_model", run)
    (seed,) = chosen("select_seed", run, "chosen_seeds")
    return f"{model}/seed_{seed}"


def chosen_images(wildcards):
    """Pictures of the chosen model under the chosen seed."""
    return f"results/{wildcards.run}/infer/{winner(wildcards.run)}"


def chosen_score(wildcards):
    """Score of those pictures."""
    return f"results/{wildcards.run}/score/{winner(wildcards.run)}.json"


def all_scores(wildcards):
    """Every score that has a row in the table."""
    return [*FLOW.checkpoint_scores(wildcards.run), *candidates(wildcards), *seed_scores(wildcards)]
