# Shared by all rules: the validated configuration, file names, and the Python that runs the stages.
import json
import sys

from snakemake.exceptions import IncompleteCheckpointException
from snakemake.io import checkpoint_target
from snakemake.logging import logger

from shanshui.compression import student_names
from shanshui.config.settings import validate
from shanshui.config.yaml_file import words_of
from shanshui.pipeline import closing, disk, file_times, job_cores, logger_plugin, retention, run_checks, run_paths
from shanshui.pipeline import snakemake_lock
from shanshui.pipeline.inputs_there import check_inputs
from shanshui.errors import exit_on_error

with exit_on_error():
    WORDS = words_of(workflow.configfiles)  # Snakemake reads these files too, but of two equal keys it takes the last
    OWN = workflow.config_settings.overwrite_config  # --configfile and --config, without config.yaml below them
    CONFIG = validate(config, " + ".join(map(str, workflow.configfiles)), given=OWN, words=WORDS)
    if "--lint" not in sys.argv:  # which reads the rules of a clone without data
        check_inputs(CONFIG)
    run_paths.prepare_environment(SOURCE, not workflow.deployment_settings.deployment_method, CONFIG)
    PATHS = run_paths.RunPaths(CONFIG)
    JOBS = job_cores.parallel_jobs(CONFIG)

RUN = CONFIG.run
GPU = int(CONFIG.gpus != 0)  # GPUs of one job; a cluster starts it on a node that has one

snakemake_lock.prepare(workflow, max(JOBS, PATHS.largest_job()), RUN)
logger_plugin.attach(workflow, CONFIG, JOBS)


wildcard_constraints:
    **PATHS.wildcards(),


def settings_text(wildcards):
    """Return options and code digest of one stage as JSON, with sorted keys: equal options give equal text."""
    return json.dumps(PATHS.settings(wildcards.run, wildcards.stage), sort_keys=True)


def cores(processes=1):
    """Return the function of the cores that a job claims which uses the networks in `processes` processes."""
    return lambda wildcards: job_cores.cores(job_cores.parallel_jobs(CONFIG, workflow.local_exec), processes)


def threads(wildcards, threads):
    """Return the threads of such a job, as a resource: unlike parameters, these never cause a rerun."""
    return job_cores.threads(threads, workflow.resource_settings.cores if workflow.local_exec else None)


def niceness(wildcards):
    """Return by how much a job gives way to a training."""
    return job_cores.niceness(workflow.local_exec)


def print_final_message(run):
    """Print the last lines of a workflow, through the logger, so that they come after those of the jobs."""
    planned = {str(file) for job in workflow.dag.jobs for file in job.output}
    text = closing.final_message(Path("results") / run, planned, workflow.touch)
    logger.info(text, extra={"shanshui_last": True})


def check_before_start():
    """Stop if the run would fail or would retrain removed checkpoints; print warnings."""
    folder = Path("results") / RUN
    planned = list(workflow.dag.needrun_jobs())
    jobs = [(job.rule.name.removesuffix("_last"), getattr(job.wildcards, "epoch", "")) for job in planned]
    if jobs and (said := PATHS.average_warning()):
        logger.warning(said)
    with exit_on_error():
        names = {name for name, _ in jobs}
        findings = run_checks.examine(CONFIG, names, workflow.local_exec)
        if said := run_checks.stop_at_gaps(findings):
            logger.warning(said)
        if PATHS.finetuned:
            retention.check_plan(folder, jobs, CONFIG.select.tried())
        disk.remember_plan(CONFIG, names)
        file_times.begin(folder)
        PATHS.remember_code()


def keep_times():
    """Record times and digests of the run's files, so that touched or copied files cause no rerun."""
    with exit_on_error():
        file_times.record(Path("results") / RUN)


if not workflow.modifier.is_main_snakefile():  # a module, whose onstart, onerror and onsuccess Snakemake does not call
    workflow._onstart = lambda log: check_before_start()
    workflow._onerror = workflow._onsuccess = lambda log: keep_times()


def chosen(choice, run, what="chosen", **wildcards):
    """Return the models (or seeds, or the ranking) of one choice of rules/select.smk, best first.

    Raises:
        IncompleteCheckpointException: it has not been made yet; Snakemake then makes it and plans again.
    """
    choosing = getattr(checkpoints, choice)
    made = Path(choosing.get(run=run, **wildcards).output.choice)
    if made.exists():  # otherwise it is being recreated right now, and Snakemake already considers it complete
        choice_made = json.loads(made.read_text())
        if PATHS.is_current(choice_made, seeds=choice == "select_seed"):  # otherwise it is of another schedule
            return choice_made[what]
    raise IncompleteCheckpointException(choosing.rule, checkpoint_target(str(made)))


def soup(run, tried):
    """Return the best soup of the first `tried` - 1 checkpoints, and the average of its members and the next checkpoint."""
    best = [entry["model"] for entry in chosen("select_checkpoints", run, "ranking")]
    before = best[0] if tried == 2 else chosen("soup", run, tried=tried - 1)[0]
    return [before, run_paths.average_name([before, best[tried - 1]])]


def soup_scores(wildcards):
    """List the score files of the current soup and of the soup with one more checkpoint."""
    models = soup(wildcards.run, int(wildcards.tried))
    return [f"results/{wildcards.run}/score/{model}.json" for model in models]


def candidates(wildcards):
    """List the score files of the chosen checkpoints, averages of all their subsets, soups and moving average."""
    best = chosen("select_checkpoints", wildcards.run)
    trials = [model for tried in PATHS.soups() for model in soup(wildcards.run, tried)]
    return [f"results/{wildcards.run}/score/{model}.json" for model in PATHS.candidates(best, trials)]


def submitted(run):
    """Return the model whose images are submitted: the chosen one, or its student (`compress.submit`)."""
    (model,) = chosen("select_model", run)
    return student_names.submitted(CONFIG.compress, model)


def compared(wildcards):
    """List the chosen model, its students and their controls."""
    (model,) = chosen("select_model", wildcards.run)
    return [model, *student_names.students(CONFIG.compress, model)]


def seed_scores(wildcards):
    """List the score files of the submitted model with every listed seed."""
    model = submitted(wildcards.run)
    return [f"results/{wildcards.run}/score/{model}/seed_{seed}.json" for seed in CONFIG.infer.seeds]


def winner(run):
    """Return the folder name of the submitted model with the chosen seed."""
    model = submitted(run)
    (seed,) = chosen("select_seed", run, "chosen_seeds")
    return f"{model}/seed_{seed}"


def chosen_images(wildcards):
    """Return the folder of the images of the chosen model with the chosen seed."""
    return f"results/{wildcards.run}/infer/{winner(wildcards.run)}"


def chosen_score(wildcards):
    """Return the score file of these images."""
    return f"results/{wildcards.run}/score/{winner(wildcards.run)}.json"


def all_scores(wildcards):
    """List all score files of the table."""
    return [*PATHS.checkpoint_scores(wildcards.run), *candidates(wildcards), *seed_scores(wildcards)]
