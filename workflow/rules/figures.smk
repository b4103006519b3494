rule collect:
    input:
        unless_made(
            f"{PLAN.records}/quality.parquet",
            [dataset_file("manifest.parquet"), *stage_receipts("fields")],
        ),
    output:
        f"{PLAN.records}/stages.parquet",
        f"{PLAN.records}/storage.parquet",
        f"{PLAN.records}/quality.parquet",
    log:
        f"{FOLDER}/logs/collect.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar collect --plan {params.plan:q} > {log:q} 2>&1"


rule figure:
    input:
        evaluation=ancient(f"{PLAN.evaluation}/metrics.parquet"),
        records=ancient(f"{PLAN.records}/quality.parquet"),
        interpretation=ancient(f"{PLAN.interpretation}/kernel_tests.parquet"),
        attribution=ancient(f"{PLAN.attribution}/kernel_gallery.parquet"),
        benchmark=benchmark_of_figure,
    output:
        f"{FOLDER}/figures/receipts/{{figure}}-{PLAN.figures_hash}.json",
        f"{FOLDER}/figures/{{figure}}.csv",
        [
            report(
                f"{FOLDER}/figures/{{figure}}.{kind}",
                caption="../report/figure.rst",
                category="Figures",
                labels={"figure": "{figure}", "format": kind},
            )
            for kind in PLAN.formats
        ],
    log:
        f"{FOLDER}/logs/figures/{{figure}}.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        plan=PLAN_FILE,
        kind=kind_of(STUDY),
    shell:
        "decar figure {wildcards.figure} --plan {params.plan:q} > {log:q} 2>&1"


rule tables:
    input:
        evaluation=ancient(f"{PLAN.evaluation}/metrics.parquet"),
        records=ancient(f"{PLAN.records}/quality.parquet"),
        interpretation=ancient(f"{PLAN.interpretation}/kernel_tests.parquet"),
        attribution=ancient(f"{PLAN.attribution}/kernel_gallery.parquet"),
    output:
        receipt("tables"),
        table_files(),
    log:
        f"{FOLDER}/logs/tables.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar tables --plan {params.plan:q} > {log:q} 2>&1"


rule manifest:
    input:
        figure_receipts(),
        receipt("tables"),
        receipt("report"),
    output:
        f"{FOLDER}/figures/manifest.json",
    log:
        f"{FOLDER}/logs/manifest.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar manifest --plan {params.plan:q} > {log:q} 2>&1"


rule report:
    input:
        figure_receipts(),
    output:
        receipt("report"),
        report(
            f"{FOLDER}/report.html", caption="../report/report.rst", category="Report"
        ),
    log:
        f"{FOLDER}/logs/report.log",
    conda:
        "../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=mem_mb("tables"),
        runtime=runtime("tables"),
    params:
        plan=PLAN_FILE,
    shell:
        "decar report --plan {params.plan:q} > {log:q} 2>&1"
