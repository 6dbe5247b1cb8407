"""Speed and drift of this machine: measured, reported, compared with an earlier report."""
