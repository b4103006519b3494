rule molecules:
    input:
        index=ancient(PLAN.index),
    output:
        molecules=f"{PLAN.molecules}/molecules.parquet",
        labels=f"{PLAN.molecules}/labels.parquet",
    log:
        f"{FOLDER}/logs/molecules.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        study=PLAN.study,
        folder=lambda wildcards, output: os.path.dirname(output[0]),
    shell:
        "decar molecules --study {params.study:q} --index {input.index:q} --output {params.folder:q} > {log:q} 2>&1"
