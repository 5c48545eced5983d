# The machine and the data: settings, doctor, landscapes, validate, prepare, reference.


rule settings:
    """Write the options and code digest of one stage; editing another stage does not change this file."""
    output:
        "results/{run}/settings/{stage}.json",
    log:
        "results/{run}/logs/settings.{stage}.log",
    priority: 100
    localrule: True
    conda:
        "../envs/jittor.yaml"
    params:
        numbers=settings_text,
    message:
        "settings: options of stage {wildcards.stage}"
    shell:
        "printf '%s\\n' {params.numbers:q} > {output:q} 2> {log:q}"


rule doctor:
    """Check the machine and compile Jittor once, before jobs run in parallel."""
    output:
        "results/{run}/doctor.json",
    log:
        "results/{run}/logs/doctor.log",
    conda:
        "../envs/jittor.yaml"
    threads: 64
    resources:
        gpu=GPU,  # so that it finds the same device as the jobs after it
    params:
        networks=PATHS.other_networks(),  # if they change, their kernels are compiled
        plan="results/{run}/.state/plan.json",  # of the start; no input, since it does not change the result
    message:
        "doctor: check the machine, compile Jittor's kernels"
    shell:
        "OMP_NUM_THREADS={threads} python -m shanshui doctor --compile --planned {params.plan:q} "
        "--out {output:q} 2>&1 | tee -i {log:q}"


rule landscapes:
    """Render the embedded dataset."""
    input:
        settings="results/{run}/settings/landscapes.json",
    output:
        directory("results/{run}/landscapes"),
    log:
        "results/{run}/logs/landscapes.log",
    conda:
        "../envs/jittor.yaml"
    message:
        "landscapes: render the embedded dataset"
    shell:
        "python -m shanshui landscapes --settings {input.settings:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule validate:
    """Check every pair before training."""
    input:
        **PATHS.raw_data(),
        settings="results/{run}/settings/validate.json",
    output:
        train="results/{run}/validate/train.csv",
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        classes="results/{run}/validate/classes.csv",
        plot=report(
            "results/{run}/validate/classes.png",
            caption="../workflow/report/classes.rst",
            category="Data",
        ),
        report="results/{run}/validate/report.md",
        found="results/{run}/validate/report.json",
    log:
        "results/{run}/logs/validate.log",
    benchmark:
        "results/{run}/benchmarks/validate.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: 8
    params:
        arguments=lambda wildcards: PATHS.validate_arguments(),  # a function: in text, braces would be wildcards
        files=lambda wildcards: PATHS.fingerprint(),  # names and contents of all files: validate again when they change
        folder=lambda wildcards, output: Path(output.report).parent,
        problems=lambda wildcards: f"results/{wildcards.run}/validate-report.md",
    message:
        "validate: check all training pairs and test label maps"
    shell:
        "python -m shanshui validate {params.arguments:q} --settings {input.settings:q} --out {params.folder:q} "
        "--report {params.problems:q} 2>&1 | tee -i {log:q}"


rule prepare:
    """Resize the training pairs once, into memory maps."""
    input:
        settings="results/{run}/settings/prepare.json",
        pairs="results/{run}/validate/train.csv",
    output:
        photos="results/{run}/prepare/photos.npy",
        label_maps="results/{run}/prepare/label_maps.npy",
        names="results/{run}/prepare/names.json",
        digests="results/{run}/prepare/digests.json",
        instances=PATHS.prepared_instances(),
    log:
        "results/{run}/logs/prepare.log",
    benchmark:
        "results/{run}/benchmarks/prepare.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: 8
    params:
        instances=lambda wildcards, output: (["--instances", *output.instances] if output.instances else []),
    message:
        "prepare: resize the training pairs"
    shell:
        "python -m shanshui prepare --settings {input.settings:q} --pairs {input.pairs:q} --photos {output.photos:q} "
        "--label-maps {output.label_maps:q} {params.instances:q} --names {output.names:q} "
        "--digests {output.digests:q} 2>&1 | tee -i {log:q}"


rule reference:
    """Compute statistics of the photographs for scoring, and find photographs of a single class."""
    input:
        settings="results/{run}/settings/reference.json",
        doctor=ancient("results/{run}/doctor.json"),
        pairs=["results/{run}/validate/train.csv", "results/{run}/validate/holdout.csv"],
        weights=PATHS.score_weights(),
        segmenter=lambda wildcards: PATHS.segmenter(wildcards.run),
    output:
        statistics="results/{run}/reference/statistics.npz",
        pure="results/{run}/reference/pure.json",
    log:
        "results/{run}/logs/reference.log",
    benchmark:
        "results/{run}/benchmarks/reference.tsv"
    conda:
        "../envs/jittor.yaml"
    threads: cores()
    resources:
        gpu=GPU,
        omp=threads,
        nice=niceness,
    params:
        weights=lambda wildcards, input: PATHS.scorers(input),
    message:
        "reference: statistics of the training photographs"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui reference --settings {input.settings:q} --train {input.pairs:q} "
        "{params.weights:q} --statistics {output.statistics:q} --pure {output.pure:q} 2>&1 | tee -i {log:q}"
