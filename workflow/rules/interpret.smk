rule interpret:
    input:
        unless_made(
            f"{PLAN.interpretation}/kernel_tests.parquet",
            [
                dataset_file("manifest.parquet"),
                *shard_files(),
                *[f"{job}/predictions.parquet" for job in explained_jobs()],
            ],
        ),
    output:
        f"{PLAN.interpretation}/kernel_correlation.parquet",
        f"{PLAN.interpretation}/kernel_tests.parquet",
    log:
        f"{FOLDER}/logs/interpret.log",
    conda:
        "../envs/training.yaml"
    threads: STUDY.training.threads
    resources:
        mem_mb=mem_mb("interpret"),
        runtime=runtime("interpret"),
    params:
        study=PLAN.study,
        dataset=lambda wildcards: PLAN.dataset,
        shards=lambda wildcards: f"{FOLDER}/shards",
        model=lambda wildcards: PLAN.explained,
        permuted=["--permuted", PLAN.permuted] if PLAN.permuted else [],
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "decar interpret --study {params.study:q} --dataset {params.dataset:q} --shards {params.shards:q}"
        " --model {params.model:q} {params.permuted:q} --output {params.folder:q} > {log:q} 2>&1"
