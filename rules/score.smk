# Scoring: generate pictures of one set of weights, score them, average checkpoints, try seeds.


rule generate:
    """Pictures of one checkpoint or average, for all hold-out and test label maps."""
    input:
        settings="results/{run}/settings/generate.json",
        doctor=ancient("results/{run}/doctor.json"),
        weights=lambda wildcards: FLOW.weights_of(wildcards.run, wildcards.model),
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
    output:
        images=temp(directory("results/{run}/images/{model}")),
    log:
        "results/{run}/logs/generate.{model}.log",
    benchmark:
        "results/{run}/benchmarks/generate.{model}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: FLOW.threads(GPU_JOBS)
    resources:
        gpu=1,
        batch=CONFIG.generate.batch,  # a resource, since these never cause a rerun
    params:
        seed=CONFIG.score.seed,
        labels=FLOW.labels,
    message:
        "generate: pictures of {wildcards.model}"
    shell:
        "OMP_NUM_THREADS={threads} python -m shanshui generate --settings {input.settings:q} --weights {input.weights:q} "
        "--labels {params.labels:q} --seed {params.seed} --batch {resources.batch} --out {output.images:q} "
        "2>&1 | tee -i {log:q}"


rule score:
    """Score of one checkpoint or average."""
    input:
        settings="results/{run}/settings/score.json",
        doctor=ancient("results/{run}/doctor.json"),
        statistics="results/{run}/reference/statistics.npz",
        images="results/{run}/images/{model}",
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        weights=FLOW.score_weights(),
    output:
        score="results/{run}/score/{model}.json",
        features="results/{run}/features/{model}.npz",
    log:
        "results/{run}/logs/score.{model}.log",
    benchmark:
        "results/{run}/benchmarks/score.{model}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: FLOW.threads(GPU_JOBS)
    resources:
        gpu=1,
    params:
        seed=CONFIG.score.seed,
        images=FLOW.images,
        labels=FLOW.labels,
        weights=lambda wildcards, input: (["--weights-file", *input.weights] if input.weights else []),
    message:
        "score: {wildcards.model}"
    shell:
        "OMP_NUM_THREADS={threads} python -m shanshui score {input.statistics:q} {params.images:q} "
        "--labels {params.labels:q} --settings {input.settings:q} {params.weights:q} "
        "--model {wildcards.model:q} --seed {params.seed} --features-out {output.features:q} --out {output.score:q} "
        "2>&1 | tee -i {log:q}"


rule merge:
    """Average the weights of several checkpoints."""
    input:
        settings="results/{run}/settings/merge.json",
        members=lambda wildcards: FLOW.members(wildcards.run, wildcards.subset),
    output:
        "results/{run}/merge/{subset}.safetensors",
    log:
        "results/{run}/logs/merge.{subset}.log",
    benchmark:
        "results/{run}/benchmarks/merge.{subset}.tsv"
    conda:
        "../envs/jittor.yaml"
    message:
        "merge: average of {wildcards.subset}"
    shell:
        "python -m shanshui merge {input.members:q} --out {output:q} 2>&1 | tee -i {log:q}"


use rule generate as infer with:
    output:
        images=directory("results/{run}/infer/{model}/seed_{seed}"),
    log:
        "results/{run}/logs/infer.{model}.{seed}.log",
    benchmark:
        "results/{run}/benchmarks/infer.{model}.{seed}.tsv"
    params:
        seed=lambda wildcards: wildcards.seed,
        labels=FLOW.labels,
    message:
        "infer: pictures of {wildcards.model} with noise seed {wildcards.seed}"


use rule score as score_seed with:
    input:
        settings="results/{run}/settings/score.json",
        doctor=ancient("results/{run}/doctor.json"),
        statistics="results/{run}/reference/statistics.npz",
        images="results/{run}/infer/{model}/seed_{seed}",
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        weights=FLOW.score_weights(),
    output:
        score="results/{run}/score/{model}/seed_{seed}.json",
        features="results/{run}/features/{model}/seed_{seed}.npz",
    log:
        "results/{run}/logs/score.{model}.{seed}.log",
    benchmark:
        "results/{run}/benchmarks/score.{model}.{seed}.tsv"
    params:
        seed=lambda wildcards: wildcards.seed,
        images=FLOW.images,
        labels=FLOW.labels,
        weights=lambda wildcards, input: (["--weights-file", *input.weights] if input.weights else []),
    message:
        "score: {wildcards.model} with noise seed {wildcards.seed}"
