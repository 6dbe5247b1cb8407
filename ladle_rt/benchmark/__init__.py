"""How fast this machine translates, and how far its engines drift: measured, reported, compared.

run_benchmark ──► case_worker (a process for each case and round) ──► benchmark_report
             ──► report_markdown, report_html, compare_reports
"""
