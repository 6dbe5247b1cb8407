"""Questions put to trainings: plans in TOML, arms trained and measured, figures with intervals.

    experiment_plan -> arm_configs -> run_experiment (handle_pretraining, training, arm_scores)
                    -> significance -> experiment_result -> experiment_tables, experiment_plot

Plans lie in ``plans/`` (in a checkout ``benchmarks/experiments`` shows the same folder), what all
of them share at one scale in ``scales/``.
"""
