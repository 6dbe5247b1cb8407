"""The networks, and the files they travel in.

`artifact` reads shipped or exported models and needs no torch; `registry`, `blocks` and
`ladlenet` define the networks and need the ``train`` extra.
"""
