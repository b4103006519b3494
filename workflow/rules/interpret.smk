rule interpret:
    input:
        dataset=ancient(dataset_file("manifest.parquet")),
        model=ancient(f"{PLAN.explained}/predictions.parquet"),
    output:
        f"{PLAN.interpretation}/kernel_correlation.parquet",
        f"{PLAN.interpretation}/kernel_tests.parquet",
    log:
        f"{FOLDER}/logs/interpret.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=8000,
        runtime=120,
    shell:
        "decar interpret --study {PLAN.study} --dataset {PLAN.dataset} --shards {FOLDER}/shards"
        " --model {PLAN.explained} --output {PLAN.interpretation} > {log} 2>&1"
