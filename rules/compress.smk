# Small generators of the chosen model (`compress.shares`): students, their controls, and what they cost and score.
# They are named by content (small_025_of_271+299): another share, or a choice that comes out the same, retrains none.


rule compress:
    """Train a student of a model, or its control; the training state is not declared to Snakemake."""
    input:
        settings="results/{run}/settings/compress.json",
        doctor=ancient("results/{run}/doctor.json"),
        teacher=lambda wildcards: PATHS.weights_of(wildcards.run, wildcards.teacher),
        photos="results/{run}/prepare/photos.npy",
        label_maps="results/{run}/prepare/label_maps.npy",
        digests="results/{run}/prepare/digests.json",
        instances=PATHS.prepared_instances(),
        discriminator=lambda wildcards: ([PATHS.pretrained(wildcards.run)] if CONFIG.compress.photographs else []),
        perceptual=PATHS.perceptual_weights("compress"),
        photo_perceptual=(PATHS.perceptual_weights("finetune") if CONFIG.compress.photographs else []),
    output:
        weights="results/{run}/compress/{student}_of_{teacher}.safetensors",
    log:
        "results/{run}/logs/compress.{student}_of_{teacher}.log",
    benchmark:
        "results/{run}/benchmarks/compress.{student}_of_{teacher}.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
    params:
        share=lambda wildcards: int(wildcards.student[-3:]) / 100,
        alone=lambda wildcards: ["--alone"] if wildcards.student.startswith("alone") else [],
        options=lambda wildcards, input: [
            word
            for name in ("instances", "discriminator", "perceptual", "photo_perceptual")
            for word in ([f"--{name.replace('_', '-')}", *input.get(name)] if input.get(name) else [])
        ],
        resume=lambda wildcards: f"results/{wildcards.run}/.state/{wildcards.student}_of_{wildcards.teacher}",
    message:
        "compress: {wildcards.student} of {wildcards.teacher}"
    shell:
        "OMP_NUM_THREADS={resources.omp} python -m shanshui compress --settings {input.settings:q} --teacher {input.teacher:q} "
        "--share {params.share} {params.alone:q} --photos {input.photos:q} --label-maps {input.label_maps:q} "
        "--digests {input.digests:q} {params.options:q} --resume {params.resume:q} --weights {output.weights:q} "
        "2>&1 | tee -i {log:q}"


rule compress_report:
    """Compare teacher, students and controls: size, cost, time, memory, scores."""
    input:
        settings="results/{run}/settings/compress_report.json",
        doctor=ancient("results/{run}/doctor.json"),
        above=ancient("results/{run}/select/model.json"),
        weights=lambda wildcards: [PATHS.weights_of(wildcards.run, model) for model in compared(wildcards)],
        scores=lambda wildcards: [f"results/{wildcards.run}/score/{model}.json" for model in compared(wildcards)],
        test="results/{run}/validate/test.csv",
    output:
        json="results/{run}/compress/report.json",
        strip=report(
            "results/{run}/compress/strip.png",
            caption="../workflow/report/students.rst",
            category="Students",
        ),
    log:
        "results/{run}/logs/compress_report.log",
    benchmark:
        "results/{run}/benchmarks/compress_report.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
    params:
        times=lambda wildcards: f"results/{wildcards.run}/benchmarks",
    message:
        "compress: compare students, controls and their teacher"
    shell:
        "OMP_NUM_THREADS={resources.omp} python -m shanshui compress_report --settings {input.settings:q} "
        "--weights {input.weights:q} --scores {input.scores:q} --labels {input.test:q} --times {params.times:q} "
        "--out {output.json:q} --strip {output.strip:q} 2>&1 | tee -i {log:q}"
