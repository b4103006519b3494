rule shards:
    input:
        unless_made(f"{FOLDER}/shards/{{bucket}}-{{hash}}.h5", receipts_of_shard),
    output:
        f"{FOLDER}/shards/{{bucket}}-{{hash}}.h5",
    log:
        f"{FOLDER}/logs/shards/{{bucket}}-{{hash}}.log",
    conda:
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("shards"),
        runtime=runtime("shards"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar shards --plan {params.plan:q} --shard {wildcards.bucket}-{wildcards.hash} --output {output:q} > {log:q} 2>&1"


rule assemble:
    input:
        molecules=unless_made(
            dataset_file("manifest.parquet"), f"{PLAN.molecules}/labels.parquet"
        ),
        receipts=unless_made(dataset_file("manifest.parquet"), stage_receipts("fields")),
        shards=unless_made(dataset_file("manifest.parquet"), shard_files()),
    output:
        dataset_file("manifest.parquet"),
        dataset_file("labels.parquet"),
        dataset_file("splits.parquet"),
        dataset_file("molecules.parquet"),
    log:
        f"{FOLDER}/logs/dataset.log",
    conda:
        "../envs/pyscf.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("dataset"),
        runtime=runtime("dataset"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar dataset --plan {params.plan:q} > {log:q} 2>&1"
