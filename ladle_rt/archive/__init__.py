"""Whole archives of recordings, on one machine or a Ray cluster.

    plan ──► survey ──► runs of segments ──► join ──► report
    what      where to   workers translate    sound,   what was
    is there  cut        from a warm start    tags     done

The driver hands out tasks and keeps nothing that it could lose: every finished segment lies, with
a record of its own, in the ledger beside the targets. Whoever is killed, the next run reads it.
"""
