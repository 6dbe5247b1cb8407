"""The tree in the docstring is the tree in the code."""

from __future__ import annotations

import builtins
import inspect
import re

import pytest

from ladle_rt import errors
from ladle_rt.errors import LadleError, MissingDependencyError, require

DRAWN = re.findall(r"[├└]── (\w+) +(?:\((\w+)\))?", errors.__doc__ or "")


def test_every_class_is_drawn_and_inherits_its_builtin() -> None:
    defined = {
        name
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, LadleError) and kind is not LadleError
    }
    assert {name for name, _ in DRAWN} == defined
    for name, builtin in DRAWN:
        kind = getattr(errors, name)
        assert issubclass(kind, LadleError)
        if builtin:
            assert issubclass(kind, getattr(builtins, builtin))


def test_a_missing_dependency_names_its_extra() -> None:
    assert require("json", "train").dumps([]) == "[]"
    with pytest.raises(MissingDependencyError, match=r"pip install 'ladle-rt\[train\]'"):
        require("no_such_module_here", "train")
