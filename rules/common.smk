# What all rules share: the validated configuration, names of files, and the Python that runs the stages.
import json
import sys

SOURCE = Path(workflow.basedir) / "src"
sys.path.insert(0, str(SOURCE))

from shanshui import flow
from shanshui.errors import ShanshuiError
from shanshui.settings import stage_settings, validate

try:
    CONFIG = validate(config, " + ".join(map(str, workflow.configfiles)))
    flow.check_inputs(CONFIG)
except ShanshuiError as error:
    sys.exit(str(error))

RUN = CONFIG.run
FLOW = flow.Flow(CONFIG)

flow.prepare_environment(SOURCE, own_python=not workflow.deployment_settings.deployment_method)


wildcard_constraints:
    run=r"[\w.-]+",
    resolution=r"\d+x\d+",
    epoch=r"\d\d\d+",
    model=r"epoch_\d\d\d+|\d\d\d+(\+\d\d\d+)+",
    subset=r"\d\d\d+(\+\d\d\d+)+",
    seed=r"\d+",


def settings_text(wildcards):
    """Numbers of one stage as JSON; equal numbers give equal text in whatever order they were written."""
    return json.dumps(stage_settings(CONFIG, wildcards.stage), sort_keys=True)


def closing_words(run):
    """The last line on the screen."""
    return flow.closing_words(Path("results") / run)


def chosen(choice, run, what="chosen"):
    """What one of the three choices of rules/select.smk came out as, best first."""
    rule_output = getattr(checkpoints, choice).get(run=run).output.choice
    return json.loads(Path(rule_output).read_text())[what]


def candidates(wildcards):
    """Scores of the chosen checkpoints and of the average of every subset of them."""
    models = FLOW.candidates(chosen("select_checkpoints", wildcards.run))
    return [f"results/{wildcards.run}/score/{model}.json" for model in models]


def seed_scores(wildcards):
    """Scores of the chosen model under every listed seed."""
    (model,) = chosen("select_model", wildcards.run)
    return [f"results/{wildcards.run}/score/{model}/seed_{seed}.json" for seed in CONFIG.infer.seeds]


def chosen_images(wildcards):
    """Pictures of the chosen model under the chosen seed."""
    (model,) = chosen("select_model", wildcards.run)
    (seed,) = chosen("select_seed", wildcards.run, "chosen_seeds")
    return f"results/{wildcards.run}/infer/{model}/seed_{seed}"


def all_scores(wildcards):
    """Every score that has a row in the table."""
    return [*FLOW.checkpoint_scores(wildcards.run), *candidates(wildcards), *seed_scores(wildcards)]
