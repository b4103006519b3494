rule attribute:
    input:
        unless_made(
            f"{PLAN.attribution}/kernel_gallery.parquet",
            [
                f"{PLAN.interpretation}/kernel_tests.parquet",
                f"{PLAN.records}/quality.parquet",
                *shard_files(),
                *[f"{job}/predictions.parquet" for job in PLAN.attributed],
                *[f"{job.folder}/predictions.parquet" for job in PLAN.repeated],
            ],
        ),
    output:
        f"{PLAN.attribution}/atoms.parquet",
        f"{PLAN.attribution}/kernel_gallery.parquet",
    log:
        f"{FOLDER}/logs/attribute.log",
    conda:
        "../envs/training.yaml"
    threads: STUDY.training.threads
    resources:
        mem_mb=mem_mb("attribute"),
        runtime=runtime("attribute"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar attribute --plan {params.plan:q} > {log:q} 2>&1"
