"""Programs for which the packages of the extras are not installed."""

from pathlib import Path

import pytest

__all__ = ["hide_extras"]

_HIDDEN = (
    *("duckdb", "fsspec", "httpx", "jinja2", "opentelemetry", "polars", "psycopg", "pyarrow", "pymysql"),
    *("rich", "starlette", "uvicorn"),
)


def hide_extras(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every interpreter that the test starts find nothing but msgspec. `folder` is one to keep a file in."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(f"import sys\nsys.modules.update(dict.fromkeys({_HIDDEN!r}))\n")
    monkeypatch.setenv("PYTHONPATH", str(folder))
