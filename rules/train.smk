# Training: pretrain (one job per resolution, each after the first faded in), then finetune (one job per epoch from score.first
# on; the last one is finetune_last if it also writes a moving average).


rule pretrain:
    """Train at one resolution of the progressive schedule, starting from the previous one."""
    input:
        settings="results/{run}/settings/pretrain.json",
        doctor=ancient("results/{run}/doctor.json"),
        photos="results/{run}/prepare/photos.npy",
        label_maps="results/{run}/prepare/label_maps.npy",
        digests="results/{run}/prepare/digests.json",
        instances=PATHS.prepared_instances(),
        samples=ancient("results/{run}/validate/holdout.csv"),
        perceptual=PATHS.perceptual_weights("pretrain"),
        start=lambda wildcards: PATHS.state_before(wildcards.run, wildcards.resolution),
    output:
        weights="results/{run}/pretrain/{resolution}.safetensors",
        state="results/{run}/pretrain/{resolution}.state.safetensors",
    log:
        "results/{run}/logs/pretrain.{resolution}.log",
    benchmark:
        "results/{run}/benchmarks/pretrain.{resolution}.tsv"
    priority: 10  # nothing else takes as long
    conda:
        "../envs/jittor.yaml"
    threads: cores(CONFIG.pretrain.processes)
    resources:
        gpu=GPU * CONFIG.pretrain.processes,
        omp=threads,
        minutes=CONFIG.pretrain.snapshot_minutes,  # a resource, since these never cause a rerun
        log_every=CONFIG.pretrain.log_every,
    params:
        start=lambda wildcards, input: ["--start", input.start] if input.start else [],
        perceptual=lambda wildcards, input: (["--perceptual", *input.perceptual] if input.perceptual else []),
        instances=lambda wildcards, input: (["--instances", *input.instances] if input.instances else []),
        resume=lambda wildcards: f"results/{wildcards.run}/.state/pretrain_{wildcards.resolution}",
        look=lambda wildcards: f"results/{wildcards.run}",
    message:
        "pretrain: {wildcards.resolution}"
    shell:
        "OMP_NUM_THREADS={resources.omp} python -m shanshui pretrain --settings {input.settings:q} "
        "--resolution {wildcards.resolution} --photos {input.photos:q} --label-maps {input.label_maps:q} "
        "--digests {input.digests:q} {params.instances:q} {params.perceptual:q} {params.start:q} --samples {input.samples:q} --resume {params.resume:q} "
        "--snapshot-minutes {resources.minutes} --log-every {resources.log_every} --look {params.look:q} --weights {output.weights:q} --state {output.state:q} 2>&1 | tee -i {log:q}"


rule finetune:
    """Train at full size up to one epoch; the training state is not declared to Snakemake."""
    input:
        settings="results/{run}/settings/finetune.json",
        doctor=ancient("results/{run}/doctor.json"),
        photos="results/{run}/prepare/photos.npy",
        label_maps="results/{run}/prepare/label_maps.npy",
        digests="results/{run}/prepare/digests.json",
        instances=PATHS.prepared_instances(),
        samples=ancient("results/{run}/validate/holdout.csv"),
        perceptual=PATHS.perceptual_weights("finetune"),
        start=lambda wildcards: PATHS.pretrained(wildcards.run),
        after=lambda wildcards: PATHS.epoch_before(wildcards.run, int(wildcards.epoch)),
    output:
        weights="results/{run}/finetune/epoch_{epoch}.safetensors",
        after="results/{run}/finetune/after/{epoch}",
    log:
        "results/{run}/logs/finetune.{epoch}.log",
    benchmark:
        "results/{run}/benchmarks/finetune.{epoch}.tsv"
    wildcard_constraints:
        epoch=PATHS.without_average(),
    priority: 10
    conda:
        "../envs/jittor.yaml"
    threads: cores(CONFIG.finetune.processes)
    resources:
        gpu=GPU * CONFIG.finetune.processes,
        omp=threads,
        minutes=CONFIG.finetune.snapshot_minutes,
        log_every=CONFIG.finetune.log_every,
    params:
        perceptual=lambda wildcards, input: (["--perceptual", *input.perceptual] if input.perceptual else []),
        instances=lambda wildcards, input: (["--instances", *input.instances] if input.instances else []),
        resume=lambda wildcards: f"results/{wildcards.run}/.state/finetune",
        average=lambda wildcards, output: ["--average", output.average] if "average" in output.keys() else [],
        look=lambda wildcards: f"results/{wildcards.run}",
    message:
        "finetune: epoch {wildcards.epoch}"
    shell:
        "OMP_NUM_THREADS={resources.omp} python -m shanshui finetune --settings {input.settings:q} "
        "--epoch {wildcards.epoch} --photos {input.photos:q} --label-maps {input.label_maps:q} "
        "--digests {input.digests:q} {params.instances:q} {params.perceptual:q} --start {input.start:q} --samples {input.samples:q} --resume {params.resume:q} "
        "--snapshot-minutes {resources.minutes} --log-every {resources.log_every} --look {params.look:q} {params.average:q} --weights {output.weights:q} "
        "2>&1 | tee -i {log:q} && "
        "printf '%s\\n' {input.after:q} > {output.after:q}"


use rule finetune as finetune_last with:
    output:
        weights="results/{run}/finetune/epoch_{epoch}.safetensors",
        average="results/{run}/finetune/ema_{epoch}.safetensors",
        after="results/{run}/finetune/after/{epoch}",
    log:
        "results/{run}/logs/finetune.{epoch}.log",
    benchmark:
        "results/{run}/benchmarks/finetune.{epoch}.tsv"
    wildcard_constraints:
        epoch=PATHS.with_average(),
    message:
        "finetune: epoch {wildcards.epoch}, the last, and the moving average"
