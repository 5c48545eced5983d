# Outputs of a run: replaced single-class images, the submission, table and curve, the report.


rule fuse:
    """Replace images of (nearly) single-class label maps by training photographs, and list them."""
    input:
        settings="results/{run}/settings/fuse.json",
        above=ancient("results/{run}/select/seed.json"),
        labels="results/{run}/validate/test.csv",
        pure="results/{run}/reference/pure.json",
        images=chosen_images,
    output:
        images=directory("results/{run}/fuse"),
        log="results/{run}/fuse.json",
    log:
        "results/{run}/logs/fuse.log",
    benchmark:
        "results/{run}/benchmarks/fuse.tsv"
    conda:
        "../envs/jittor.yaml"
    message:
        "fuse: label maps of a single class"
    shell:
        "python -m shanshui fuse --settings {input.settings:q} --labels {input.labels:q} --images {input.images:q}/test "
        "--pure {input.pure:q} --out {output.images:q} --log {output.log:q} 2>&1 | tee -i {log:q}"


rule score_fused:
    """Score the submission as packaged, in addition to the purely generated images."""
    input:
        settings="results/{run}/settings/score.json",
        doctor=ancient("results/{run}/doctor.json"),
        statistics="results/{run}/reference/statistics.npz",
        images="results/{run}/fuse",
        test="results/{run}/validate/test.csv",
        above=ancient("results/{run}/select/seed.json"),
        weights=PATHS.score_weights(),
        segmenter=lambda wildcards: PATHS.segmenter(wildcards.run),
    output:
        score="results/{run}/score/fused.json",
    log:
        "results/{run}/logs/score.fused.log",
    benchmark:
        "results/{run}/benchmarks/score.fused.tsv"
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
        "score: the submission, including replaced images"
    shell:
        "OMP_NUM_THREADS={resources.omp} nice -n {resources.nice} python -m shanshui score {input.statistics:q} test={input.images:q} "
        "--labels test={input.test:q} --settings {input.settings:q} {params.weights:q} --model fused "
        "--out {output.score:q} 2>&1 | tee -i {log:q}"


rule package:
    """Check names, sizes and count, and zip the submission."""
    input:
        settings="results/{run}/settings/package.json",
        labels="results/{run}/validate/test.csv",
        images="results/{run}/fuse",
        provenance=[
            "results/{run}/select/checkpoints.json",
            "results/{run}/select/model.json",
            "results/{run}/select/seed.json",
            "results/{run}/fuse.json",
            "results/{run}/doctor.json",
        ],
    output:
        zip="results/{run}/submission.zip",
        manifest="results/{run}/submission.json",
        sheet=report(
            "results/{run}/contact_sheet.png",
            caption="../workflow/report/sheet.rst",
            category="Submission",
        ),
    log:
        "results/{run}/logs/package.log",
    benchmark:
        "results/{run}/benchmarks/package.tsv"
    conda:
        "../envs/jittor.yaml"
    message:
        "package: the submission"
    shell:
        "python -m shanshui package --settings {input.settings:q} --labels {input.labels:q} --images {input.images:q} "
        "--provenance {input.provenance:q} --zip {output.zip:q} --manifest {output.manifest:q} "
        "--sheet {output.sheet:q} 2>&1 | tee -i {log:q}"


rule table:
    """Write all scores to one table, and a curve that marks the chosen models."""
    input:
        settings="results/{run}/settings/table.json",
        scores=all_scores,
        checkpoints="results/{run}/select/checkpoints.json",
        model="results/{run}/select/model.json",
        seed="results/{run}/select/seed.json",
    output:
        csv=report(
            "results/{run}/fid_table.csv",
            caption="../workflow/report/table.rst",
            category="Scores",
        ),
        md="results/{run}/fid_table.md",
        curve=report(
            "results/{run}/fid_curve.png",
            caption="../workflow/report/curve.rst",
            category="Scores",
        ),
    log:
        "results/{run}/logs/table.log",
    conda:
        "../envs/jittor.yaml"
    message:
        "table: scores of checkpoints, averages and seeds"
    shell:
        "python -m shanshui table --settings {input.settings:q} --scores {input.scores:q} "
        "--checkpoints {input.checkpoints:q} --model {input.model:q} --seed {input.seed:q} "
        "--csv {output.csv:q} --md {output.md:q} --curve {output.curve:q} 2>&1 | tee -i {log:q}"


rule report:
    """Write the HTML report of the run."""
    input:
        settings="results/{run}/settings/report.json",
        images=chosen_images,
        above=ancient("results/{run}/select/seed.json"),
        holdout="results/{run}/validate/holdout.csv",
        test="results/{run}/validate/test.csv",
        classes="results/{run}/validate/classes.csv",
        validation="results/{run}/validate/report.json",
        table="results/{run}/fid_table.csv",
        score=chosen_score,
        choices=[
            "results/{run}/select/checkpoints.json",
            "results/{run}/select/model.json",
            "results/{run}/select/seed.json",
        ],
        fused="results/{run}/fuse.json",
        fused_score="results/{run}/score/fused.json",
        manifest="results/{run}/submission.json",
        sheet="results/{run}/contact_sheet.png",
        doctor="results/{run}/doctor.json",
        students=PATHS.compared_students(),
    output:
        html="results/{run}/report.html",
        strip=report(
            "results/{run}/strip.png",
            caption="../workflow/report/strip.rst",
            category="Submission",
        ),
    log:
        "results/{run}/logs/report.log",
    conda:
        "../envs/jittor.yaml"
    params:
        look=lambda wildcards: f"results/{wildcards.run}",
        students=lambda wildcards, input: (["--students", *input.students] if input.students else []),
    message:
        "report: the whole run on one page"
    shell:
        "python -m shanshui report --settings {input.settings:q} --run-folder {params.look:q} --images {input.images:q} "
        "--holdout {input.holdout:q} --test {input.test:q} --classes {input.classes:q} --validation {input.validation:q} "
        "--table {input.table:q} --score {input.score:q} --choices {input.choices:q} --fused {input.fused:q} "
        "--fused-score {input.fused_score:q} "
        "--manifest {input.manifest:q} --sheet {input.sheet:q} --doctor {input.doctor:q} "
        "{params.students:q} --out {output.html:q} --strip {output.strip:q} 2>&1 | tee -i {log:q}"


rule tidy:
    """Remove the weights, states and images that are no longer needed (`retention: best`); list what is kept."""
    input:
        settings="results/{run}/settings/tidy.json",
        choices=[
            "results/{run}/select/checkpoints.json",
            "results/{run}/select/model.json",
            "results/{run}/select/seed.json",
        ],
        scores=all_scores,  # these and the files below: everything that needs weights or images is done
        submission="results/{run}/submission.zip",
        report="results/{run}/report.html",
    output:
        "results/{run}/kept.json",
    log:
        "results/{run}/logs/tidy.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    params:
        folder=lambda wildcards: f"results/{wildcards.run}",
    message:
        "tidy: keep the best weights, remove the others"
    shell:
        "python -m shanshui tidy --settings {input.settings:q} --run-folder {params.folder:q} "
        "--choices {input.choices:q} --out {output:q} 2>&1 | tee -i {log:q}"


rule verify:
    """Check every final file against its manifest (`snakemake verify`)."""
    input:
        expand("results/{run}/{name}", run=RUN, name=["submission.zip", "submission.json", "report.html"]),
    log:
        f"results/{RUN}/logs/verify.log",
    localrule: True
    conda:
        "../envs/jittor.yaml"
    params:
        run=RUN,
    message:
        "verify: every final file against its manifest"
    shell:
        "python -m shanshui verify {params.run:q} 2>&1 | tee -i {log:q}"
