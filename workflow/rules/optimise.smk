rule optimise:
    input:
        ancient(parent_of("optimise", "conformers")),
    output:
        f"{FOLDER}/optimise/{{batch}}.parquet",
    log:
        f"{FOLDER}/logs/optimise/{{batch}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/optimise/{{batch}}.tsv"
    conda:
        f"../envs/{STUDY.quantum.backend}.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("optimise"),
        runtime=runtime("optimise"),
    params:
        study=PLAN.study,
    shell:
        "decar optimise --study {params.study:q} --batch {input:q} --output {output:q} > {log:q} 2>&1"
