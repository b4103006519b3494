rule fields:
    input:
        ancient(parent_of("fields", "wavefunction")),
    output:
        f"{FOLDER}/fields/{{batch}}.parquet",
    log:
        f"{FOLDER}/logs/fields/{{batch}}.log",
    benchmark:
        f"{FOLDER}/benchmarks/fields/{{batch}}.tsv"
    conda:
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("fields"),
        runtime=runtime("fields"),
    params:
        study=PLAN.study,
    shell:
        "decar fields --study {params.study:q} --batch {input:q} --output {output:q} > {log:q} 2>&1"


rule cubes:
    input:
        fields=ancient(f"{FOLDER}/fields/{{batch}}.parquet"),
        wavefunctions=ancient(parent_of("fields", "wavefunction")),
    output:
        f"{FOLDER}/cubes/{{batch}}.txt",
    log:
        f"{FOLDER}/logs/cubes/{{batch}}.log",
    conda:
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("fields"),
        runtime=runtime("fields"),
    params:
        study=PLAN.study,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "decar cubes --study {params.study:q} --batch {input.fields:q} --wavefunctions {input.wavefunctions:q}"
        " --folder {params.folder:q} --output {output:q} > {log:q} 2>&1"
