"""The networks, and the files they travel in.

`artifact` and `listing` need no torch to be imported; the others define the networks and need
the ``train`` extra. segmentation_models_pytorch is loaded only where a Handle is built.
"""
