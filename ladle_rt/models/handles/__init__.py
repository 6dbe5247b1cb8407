"""Handles of LadleNet+: segmentation networks over one thermal channel, and their weights.

    handle_settings ◄── kinds ◄── handle_config ◄── handle
    tensor_names ◄── pretrained

Nothing here loads segmentation_models_pytorch before a Handle is built.
"""
