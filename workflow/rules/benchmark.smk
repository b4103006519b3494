rule benchmark_part:
    input:
        ancient(dataset_file("manifest.parquet")),
    output:
        f"{FOLDER}/benchmark/parts/{{part}}/predictions.parquet",
    log:
        f"{FOLDER}/logs/benchmark/{{part}}.log",
    conda:
        "../envs/training.yaml"
    threads: STUDY.training.threads
    resources:
        gpu=gpus_of_part,
        mem_mb=mem_mb("train"),
        runtime=minutes_of_part,
    params:
        study=PLAN.study,
        dataset=lambda wildcards: PLAN.dataset,
    shell:
        "decar benchmark --study {params.study:q} --dataset {params.dataset:q} --only {wildcards.part:q} --no-tables"
        " > {log:q} 2>&1"


rule benchmark:
    input:
        benchmark_parts(),
    output:
        f"{BENCHMARK}/benchmark.md",
        [
            report(
                f"{BENCHMARK}/benchmark_figure.{kind}",
                caption="../report/benchmark.rst",
                category="Figures",
                labels={"figure": "benchmark", "format": kind},
            )
            for kind in PLAN.formats
        ],
    log:
        f"{FOLDER}/logs/benchmark.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("evaluate"),
        runtime=runtime("evaluate"),
    params:
        study=PLAN.study,
        dataset=lambda wildcards: PLAN.dataset,
    shell:
        "decar benchmark --study {params.study:q} --dataset {params.dataset:q} --tables-only > {log:q} 2>&1"
