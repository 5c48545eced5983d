# Scoring: generate images from one set of weights, score them, average checkpoints, try seeds.


rule segmenter:
    """Train the segmentation network for mask accuracy."""
    input:
        settings="results/{run}/settings/segmenter.json",
        doctor=ancient("results/{run}/doctor.json"),
        photos="results/{run}/prepare/photos.npy",
        label_maps="results/{run}/prepare/label_maps.npy",
        digests="results/{run}/prepare/digests.json",
        holdout="results/{run}/validate/holdout.csv",
    output:
        "results/{run}/segmenter/segmenter.safetensors",
    log:
        "results/{run}/logs/segmenter.log",
    benchmark:
        "results/{run}/benchmarks/segmenter.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
        nice=niceness,
    params:
        resume=lambda wildcards: f"results/{wildcards.run}/.state/segmenter",
    message:
        "segmenter: train the segmentation network"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui segmenter --settings {input.settings:q} --photos {input.photos:q} "
        "--label-maps {input.label_maps:q} --digests {input.digests:q} --holdout {input.holdout:q} --resume {params.resume:q} "
        "--weights {output:q} 2>&1 | tee -i {log:q}"


rule generate:
    """Generate images from one checkpoint or average, for all hold-out and test label maps."""
    input:
        settings="results/{run}/settings/generate.json",
        doctor=ancient("results/{run}/doctor.json"),
        weights=lambda wildcards: PATHS.weights_of(wildcards.run, wildcards.model),
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        train=PATHS.train_labels(),
    output:
        images=temp(directory("results/{run}/images/{model}")),
    log:
        "results/{run}/logs/generate.{model}.log",
    benchmark:
        "results/{run}/benchmarks/generate.{model}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
        nice=niceness,
        batch=CONFIG.generate.batch,  # a resource, since these never cause a rerun
    params:
        seed=CONFIG.score.seed,
        labels=PATHS.labels,
    message:
        "generate: images from {wildcards.model}"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui generate --settings {input.settings:q} --weights {input.weights:q} "
        "--labels {params.labels:q} --seed {params.seed} --batch {resources.batch} --out {output.images:q} "
        "2>&1 | tee -i {log:q}"


rule score:
    """Score the images of one checkpoint or average."""
    input:
        settings="results/{run}/settings/score.json",
        doctor=ancient("results/{run}/doctor.json"),
        statistics="results/{run}/reference/statistics.npz",
        images="results/{run}/images/{model}",
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        train=PATHS.train_labels(),
        weights=PATHS.score_weights(),
        segmenter=lambda wildcards: PATHS.segmenter(wildcards.run),
    output:
        score="results/{run}/score/{model}.json",
        features="results/{run}/features/{model}.npz",
    log:
        "results/{run}/logs/score.{model}.log",
    benchmark:
        "results/{run}/benchmarks/score.{model}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
        nice=niceness,
    params:
        seed=CONFIG.score.seed,
        images=PATHS.images,
        labels=PATHS.labels,
        weights=lambda wildcards, input: PATHS.scorers(input),
    message:
        "score: {wildcards.model}"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui score {input.statistics:q} {params.images:q} "
        "--labels {params.labels:q} --settings {input.settings:q} {params.weights:q} "
        "--model {wildcards.model:q} --seed {params.seed} --features-out {output.features:q} --out {output.score:q} "
        "2>&1 | tee -i {log:q}"


rule merge:
    """Average the weights of several checkpoints."""
    input:
        settings="results/{run}/settings/merge.json",
        doctor=lambda wildcards: ancient(PATHS.examined_for_averages(wildcards.run)),
        members=lambda wildcards: PATHS.members(wildcards.run, wildcards.subset),
        label_maps=lambda wildcards: PATHS.estimated_on(wildcards.run),
    output:
        "results/{run}/merge/{subset}.safetensors",
    log:
        "results/{run}/logs/merge.{subset}.log",
    benchmark:
        "results/{run}/benchmarks/merge.{subset}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU * PATHS.estimates,
        omp=threads,
        nice=niceness,
    params:
        estimate=lambda wildcards, input: (
            ["--estimate-on", input.label_maps, "--settings", input.settings] if input.label_maps else []
        ),
    message:
        "merge: average of {wildcards.subset}"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui merge {input.members:q} {params.estimate:q} --out {output:q} "
        "2>&1 | tee -i {log:q}"


use rule generate as infer with:
    output:
        images=directory("results/{run}/infer/{model}/seed_{seed}"),
    log:
        "results/{run}/logs/infer.{model}.{seed}.log",
    benchmark:
        "results/{run}/benchmarks/infer.{model}.{seed}.tsv"
    params:
        seed=lambda wildcards: wildcards.seed,
        labels=PATHS.labels,
    message:
        "infer: images from {wildcards.model} with noise seed {wildcards.seed}"


use rule score as score_seed with:
    input:
        settings="results/{run}/settings/score.json",
        doctor=ancient("results/{run}/doctor.json"),
        statistics="results/{run}/reference/statistics.npz",
        images="results/{run}/infer/{model}/seed_{seed}",
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        train=PATHS.train_labels(),
        weights=PATHS.score_weights(),
        segmenter=lambda wildcards: PATHS.segmenter(wildcards.run),
    output:
        score="results/{run}/score/{model}/seed_{seed}.json",
        features="results/{run}/features/{model}/seed_{seed}.npz",
    log:
        "results/{run}/logs/score.{model}.{seed}.log",
    benchmark:
        "results/{run}/benchmarks/score.{model}.{seed}.tsv"
    params:
        seed=lambda wildcards: wildcards.seed,
        images=PATHS.images,
        labels=PATHS.labels,
        weights=lambda wildcards, input: PATHS.scorers(input),
    message:
        "score: {wildcards.model} with noise seed {wildcards.seed}"
