"""How fast this machine translates, and how good its pictures are: measured, reported, compared.

benchmark_settings ──► benchmark_cases ──► run_benchmark ──► case_worker (a process for each case
and round: latency, telemetry, picture_quality) ──► benchmark_report ──► report_tables,
report_markdown, report_plots, report_html, compare_reports
"""
