rule evaluate:
    input:
        dataset=unless_made(
            f"{PLAN.evaluation}/metrics.parquet", dataset_file("manifest.parquet")
        ),
        predictions=unless_made(f"{PLAN.evaluation}/metrics.parquet", predictions()),
    output:
        f"{PLAN.evaluation}/metrics.parquet",
        f"{PLAN.evaluation}/predictions.parquet",
    log:
        f"{FOLDER}/logs/evaluate.log",
    conda:
        "../envs/training.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("evaluate"),
        runtime=runtime("evaluate"),
    params:
        study=PLAN.study,
        dataset=lambda wildcards: PLAN.dataset,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "decar evaluate --study {params.study:q} --dataset {params.dataset:q} --output {params.folder:q}"
        " {input.predictions:q} > {log:q} 2>&1"
