rule train:
    input:
        unless_made(f"{FOLDER}/models/{{job}}/predictions.parquet", training_inputs),
    output:
        f"{FOLDER}/models/{{job}}/predictions.parquet",
        f"{FOLDER}/models/{{job}}/metrics.csv",
        f"{FOLDER}/models/{{job}}/model/weights.safetensors",
    log:
        f"{FOLDER}/logs/train/{{job}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/train/{{job}}.tsv"
    conda:
        "../envs/training.yaml"
    threads: training_cores()
    resources:
        **launch_resources(STUDY.training),
        mem_mb=mem_mb("train"),
        runtime=runtime("train"),
    params:
        launcher=launch_command(STUDY.training),
        study=PLAN.study,
        dataset=lambda wildcards: PLAN.dataset,
        shards=lambda wildcards: f"{FOLDER}/shards",
        output=lambda wildcards, output: os.path.dirname(output[0]),
        job=lambda wildcards: training_arguments(wildcards.job),
    shell:
        "{params.launcher} train --study {params.study:q}"
        " --dataset {params.dataset:q} --shards {params.shards:q} {params.job}"
        " --output {params.output:q} > {log:q} 2>&1"
