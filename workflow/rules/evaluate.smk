rule evaluate:
    input:
        dataset=ancient(dataset_file("manifest.parquet")),
        predictions=ancient(predictions()),
    output:
        f"{PLAN.evaluation}/metrics.parquet",
        f"{PLAN.evaluation}/predictions.parquet",
    log:
        f"{FOLDER}/logs/evaluate.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "decar evaluate --study {PLAN.study} --dataset {PLAN.dataset} --output {PLAN.evaluation}"
        " {input.predictions} > {log} 2>&1"
