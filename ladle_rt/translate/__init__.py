"""The seam between the pipeline and a compute engine."""
