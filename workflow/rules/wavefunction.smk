rule wavefunction:
    input:
        ancient(parent_of("wavefunction", "optimise")),
    output:
        f"{FOLDER}/wavefunction/{{batch}}.parquet",
    log:
        f"{FOLDER}/logs/wavefunction/{{batch}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/wavefunction/{{batch}}.tsv"
    conda:
        f"../envs/{STUDY.quantum.backend}.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("wavefunction"),
        runtime=runtime("wavefunction"),
    params:
        study=PLAN.study,
    shell:
        "decar wavefunction --study {params.study:q} --batch {input:q} --output {output:q} > {log:q} 2>&1"
