rule conformers:
    input:
        ancient(source_of),
    output:
        f"{FOLDER}/conformers/{{batch}}.parquet",
    log:
        f"{FOLDER}/logs/conformers/{{batch}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/conformers/{{batch}}.tsv"
    conda:
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("conformers"),
        runtime=runtime("conformers"),
    params:
        study=PLAN.study,
    shell:
        "decar conformers --study {params.study:q} --batch {input:q} --output {output:q} > {log:q} 2>&1"
