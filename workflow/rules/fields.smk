rule fields:
    input:
        ancient(parent_of("fields", "wavefunction")),
    output:
        f"{FOLDER}/fields/{{batch}}.parquet",
    log:
        f"{FOLDER}/logs/fields/{{batch}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/fields/{{batch}}.tsv"
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    conda:
        "../envs/pyscf.yaml"
    shell:
        "decar fields --study {PLAN.study} --batch {input} --output {output} > {log} 2>&1"


rule cubes:
    input:
        ancient(f"{FOLDER}/fields/{{batch}}.parquet"),
    output:
        f"{FOLDER}/cubes/{{batch}}.txt",
    log:
        f"{FOLDER}/logs/cubes/{{batch}}.log",
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    conda:
        "../envs/pyscf.yaml"
    shell:
        "decar cubes --study {PLAN.study} --batch {input} --folder {FOLDER}/cubes --output {output} > {log} 2>&1"
