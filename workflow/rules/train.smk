rule train:
    input:
        ancient(dataset_file("manifest.parquet")),
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
    threads: STUDY.training.processes * STUDY.training.threads
    resources:
        mem_mb=lambda wildcards, attempt: 6000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        job=lambda wildcards: training_arguments(wildcards.job),
    shell:
        "torchrun --standalone --nproc-per-node {STUDY.training.processes} -m decar.cli train --study {PLAN.study}"
        " --dataset {PLAN.dataset} --shards {FOLDER}/shards {params.job}"
        " --output {FOLDER}/models/{wildcards.job} > {log} 2>&1"
