# Model selection: the best checkpoints, the best of these and their averages, the best seed.
# Each choice is a checkpoint rule: downstream jobs are planned from its content, and their files are named by
# content, so a choice that comes out the same reruns nothing. `ancient` keeps the edge in the graph.


checkpoint select_checkpoints:
    """Select the best checkpoints of fine-tuning."""
    input:
        settings="results/{run}/settings/select.json",
        scores=lambda wildcards: PATHS.checkpoint_scores(wildcards.run),
    output:
        choice="results/{run}/select/checkpoints.json",
    log:
        "results/{run}/logs/select.checkpoints.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    params:
        top=CONFIG.select.top,
    message:
        "select: the best {params.top} checkpoints"
    shell:
        "python -m shanshui select --settings {input.settings:q} --scores {input.scores:q} --top {params.top} "
        "--out {output.choice:q} 2>&1 | tee -i {log:q}"


checkpoint soup:
    """Greedy soup: add the next of the best checkpoints to the average if the score improves."""
    input:
        settings="results/{run}/settings/select.json",
        above=ancient("results/{run}/select/checkpoints.json"),
        before=lambda wildcards: ancient(PATHS.soup_before(wildcards.run, int(wildcards.tried))),
        scores=soup_scores,
    output:
        choice="results/{run}/select/soup_{tried}.json",
    log:
        "results/{run}/logs/select.soup_{tried}.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    message:
        "soup: with or without checkpoint {wildcards.tried} of the ranking"
    shell:
        "python -m shanshui select --settings {input.settings:q} --scores {input.scores:q} --top 1 "
        "--out {output.choice:q} 2>&1 | tee -i {log:q}"


checkpoint select_model:
    """Select the best of the chosen checkpoints, their averages, the soup and the moving average."""
    input:
        settings="results/{run}/settings/select.json",
        above=ancient(["results/{run}/select/checkpoints.json", *PATHS.soup_choices()]),
        scores=candidates,
    output:
        choice="results/{run}/select/model.json",
    log:
        "results/{run}/logs/select.model.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    message:
        "select: the best model among checkpoints and averages"
    shell:
        "python -m shanshui select --settings {input.settings:q} --scores {input.scores:q} --top 1 "
        "--out {output.choice:q} 2>&1 | tee -i {log:q}"


checkpoint select_seed:
    """Select the best noise seed of the chosen model."""
    input:
        settings="results/{run}/settings/select.json",
        above=ancient("results/{run}/select/model.json"),
        scores=seed_scores,
    output:
        choice="results/{run}/select/seed.json",
    log:
        "results/{run}/logs/select.seed.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    message:
        "select: the best noise seed"
    shell:
        "python -m shanshui select --settings {input.settings:q} --scores {input.scores:q} --top 1 "
        "--out {output.choice:q} 2>&1 | tee -i {log:q}"
