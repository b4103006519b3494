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
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 2000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        study=PLAN.study,
    shell:
        "decar optimise --study {params.study:q} --batch {input:q} --output {output:q} > {log:q} 2>&1"
