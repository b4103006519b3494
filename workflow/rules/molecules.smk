rule molecules:
    input:
        index=PLAN.index,
    output:
        molecules=f"{PLAN.molecules}/molecules.parquet",
        labels=f"{PLAN.molecules}/labels.parquet",
    log:
        f"{FOLDER}/logs/molecules.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    shell:
        "decar molecules --study {PLAN.study} --index {input.index} --output {PLAN.molecules} > {log} 2>&1"
