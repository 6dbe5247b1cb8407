"""What other distributions add: entry points, and the objects that they and our tables name.

A plug-in declares, for example,

    [project.entry-points."ladle_rt.sources"]
    lepton = "lepton_source:LeptonSource"

and ``--device lepton:1`` opens it. Our own tables name objects in the same way, so that a module
is imported when it is used.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from ladle_rt.errors import ConfigError, LadleError, first_line

Group = Literal["ladle_rt.backends", "ladle_rt.sinks", "ladle_rt.sources"]


def installed(group: Group) -> dict[str, str]:
    """Objects of a group as ``module:attribute``, by the name that they are asked for with."""
    # Slow to import, and most runs ask for names of our own.
    from importlib.metadata import entry_points

    return {found.name: found.value for found in entry_points(group=group)}


def load(target: str) -> Any:
    """Import what ``module:attribute`` names.

    Raises:
        ConfigError: it cannot be imported.
        LadleError: its module's own, such as a missing extra.
    """
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except LadleError:
        raise
    except Exception as error:
        raise ConfigError(
            f"{target}: cannot be loaded ({type(error).__name__}: {first_line(error)}); update "
            "or uninstall the distribution that brings it"
        ) from error
