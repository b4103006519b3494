rule interpret:
    input:
        dataset=ancient(dataset_file("manifest.parquet")),
        shards=ancient(shard_files()),
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
    params:
        study=PLAN.study,
        dataset=lambda wildcards, input: os.path.dirname(input.dataset),
        shards=lambda wildcards, input: os.path.dirname(input.shards[0]),
        model=lambda wildcards, input: os.path.dirname(input.model),
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "decar interpret --study {params.study:q} --dataset {params.dataset:q} --shards {params.shards:q}"
        " --model {params.model:q} --output {params.folder:q} > {log:q} 2>&1"
