"""The networks, and the files they travel in.

`artifact` and `listing` need no torch to be imported; `registry`, `blocks` and `ladlenet`
define the networks and need the ``train`` extra.
"""
