"""From label maps to a leaderboard submission, in the order the data flows.

snakemake --cores all                                    the leaderboard recipe, config.yaml
snakemake --cores all --configfile config/demo.yaml      the demo, on the embedded dataset
"""

from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


include: "rules/configuration.smk"


configfile: DEFAULTS


report: "workflow/report/workflow.rst"


include: "rules/common.smk"
include: "rules/data.smk"
include: "rules/train.smk"
include: "rules/score.smk"
include: "rules/select.smk"
include: "rules/compress.smk"
include: "rules/deliver.smk"


for added in PATHS.added_rules():

    include: added


rule all:
    default_target: True
    input:
        expand("results/{run}/submission.zip", run=RUN),
        expand("results/{run}/fid_table.csv", run=RUN),
        expand("results/{run}/fid_table.md", run=RUN),
        expand("results/{run}/fid_curve.png", run=RUN),
        expand("results/{run}/report.html", run=RUN),
        expand("results/{run}/kept.json", run=RUN) if CONFIG.retention == "best" else [],
        PATHS.added_outputs(),


onstart:
    check_before_start()


onerror:
    keep_times()


onsuccess:
    keep_times()
    print_final_message(RUN)
