"""Every error that ladle-rt raises on purpose.

    LadleError
    ├── ConfigError            (ValueError)         a setting outside its range
    ├── InputError             (ValueError)         the input cannot be used
    │   ├── InputNotFoundError (FileNotFoundError)  no such file or folder
    │   ├── SourceLostError    (ConnectionError)    a live source went away; it may come back
    │   ├── StoppedError                            stopped before the source was open
    │   └── FalseColourError                        a palette instead of intensities
    ├── OutputError            (OSError)            the output cannot be written
    ├── ModelError             (ValueError)         model file, JSON or weights do not fit
    ├── DatasetError           (ValueError)         training or evaluation data do not fit
    ├── TrainingError          (RuntimeError)       a training cannot go on
    │   └── TrainingStoppedError                    it was asked to stop, and saved
    ├── BackendError           (RuntimeError)       a compute engine failed
    ├── PipelineError          (RuntimeError)       a stage stopped answering
    ├── PartialResultError     (RuntimeError)       some of the work failed; the rest was kept
    └── MissingDependencyError (ImportError)        an optional extra is not installed

A message says in one line what was expected, what was received and what to do.
The command line prints it without a traceback; anything else is a bug and keeps its traceback.
"""

from __future__ import annotations

import importlib
from types import ModuleType


class LadleError(Exception):
    """Root of all errors raised on purpose by this package."""


class ConfigError(LadleError, ValueError):
    """A setting is outside its range or contradicts another."""


class InputError(LadleError, ValueError):
    """The input cannot be used as thermal footage."""


class InputNotFoundError(InputError, FileNotFoundError):
    """The input file or folder does not exist."""


class SourceLostError(InputError, ConnectionError):
    """A live source stopped delivering; opening it again may bring it back."""


class StoppedError(InputError):
    """Opening a source was ended on request."""


class FalseColourError(InputError):
    """The input shows a false-colour palette, not thermal intensities."""


class OutputError(LadleError, OSError):
    """The output cannot be written; nothing was left behind at its place."""


class ModelError(LadleError, ValueError):
    """A model's weights, graph or JSON are missing, damaged or do not belong together."""


class DatasetError(LadleError, ValueError):
    """A dataset folder does not have the layout or the pairs that were asked for."""


class TrainingError(LadleError, RuntimeError):
    """A training cannot go on; its last checkpoint is whole."""


class TrainingStoppedError(TrainingError):
    """A training was asked to stop; its checkpoint is of its last step."""


class BackendError(LadleError, RuntimeError):
    """A compute engine could not be started or failed while running."""


class PipelineError(LadleError, RuntimeError):
    """A pipeline stage stopped answering within its bound."""


class PartialResultError(LadleError, RuntimeError):
    """Some of the work failed; every result that could be made has been written (exit code 3)."""


class MissingDependencyError(LadleError, ImportError):
    """An optional dependency is missing; the message names the extra that brings it."""


def shown(value: object, most: int = 80) -> str:
    """A value from outside as messages show it: on one line, and cut."""
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[: most - 3]}..."


def first_line(error: BaseException) -> str:
    """What another library's error says, to go into a message; its type where it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def require(module: str, extra: str) -> ModuleType:
    """Import an optional module or say which extra installs it.

    Args:
        module: dotted module name, for example ``"torchmetrics"``.
        extra: the extra of this package that brings it, for example ``"train"``.

    Raises:
        MissingDependencyError: the module cannot be imported.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            f"{module.partition('.')[0]} is needed here and is not installed ({error}); "
            f"run: pip install 'ladle-rt[{extra}]'"
        ) from error
