"""The defaults of an app's classes, as two fresh processes make them: where they differ, each start has another one."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

import msgspec

from act_fast import AsyncAct
from act_fast._events.fields import classes_in
from act_fast.cli.input.app import find_app
from act_fast.errors import ActError, ValidationError

__all__ = ["changing_defaults"]

_SEEDS: Final = ("1", "2")
"""For `hash` of text, and so for the order of sets, which is by chance too."""


def changing_defaults(address: str) -> list[str]:
    """The fields of an app's events and states whose default is something else in each process.

    Args:
        address: of the app, `module:name`.

    Raises:
        ValidationError: the app, which this process has found, is not there in a fresh one.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, seed) for seed in _SEEDS]
        for file in files:  # one after the other: what the module does when it is loaded may not bear company
            ended = _run(address, file)
            if ended.returncode:
                raise ValidationError(f"{address} cannot be loaded in a fresh process:\n{ended.stderr.rstrip()}")
        first, second = (json.loads(file.read_text()) for file in files)
    return sorted(field for field in first if first[field] != second.get(field))


def _run(address: str, file: Path) -> "subprocess.CompletedProcess[str]":
    paths = os.pathsep.join(each for each in sys.path if each)
    return subprocess.run(
        [sys.executable, "-c", f"from {__name__} import _write; _write({address!r}, {str(file)!r})"],
        env={**os.environ, "PYTHONHASHSEED": file.name, "PYTHONPATH": paths},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )


def _write(address: str, file: str) -> None:
    try:
        app = find_app(address)
    except ActError as error:
        sys.exit(str(error))
    act = app.sync if isinstance(app, AsyncAct) else app
    found: dict[str, str] = {}
    for cls in {*act._codec.classes.values(), *act.states}:
        for kind in classes_in(cls):
            for field in kind.fields:
                default = _default(field)
                if default is not msgspec.NODEFAULT:
                    place = f"{kind.cls.__module__}.{kind.cls.__qualname__}.{field.name}"
                    found[place] = msgspec.json.encode(default, order="deterministic").decode()
    Path(file).write_text(json.dumps(found))


def _default(field: Any) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
