"""Health and metrics over HTTP: called as a server calls them, mounted in a framework, and on a real server."""

import asyncio
import json
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

import httpx
import pytest
from fastapi import FastAPI

from act_fast import ValidationError
from act_fast.monitoring import monitor
from tests.monitoring.shop import Shop
from tests.support.servers import free_port

PATIENCE_SECONDS = 60


def client(app: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://shop")


async def test_health_is_200_while_all_is_well_and_503_with_the_reasons_when_not(shop: Shop) -> None:
    async with client(monitor(shop.app, fresh=0)) as http:
        shop.sell(1)
        shop.app.settle()
        well = await http.get("/health")
        assert (well.status_code, well.json()["healthy"], well.json()["head"]) == (200, True, 1)
        shop.broken = {2}
        shop.sell(2)
        shop.app.settle()
        ill = await http.get("/health")
    assert (ill.status_code, ill.json()["problems"]) == (503, ["1 blocked, 0 allowed: targets of mail"])
    assert ill.headers["cache-control"] == "no-store"


async def test_limits_hold(shop: Shop) -> None:
    shop.broken = {2}
    shop.sell(2)
    shop.app.settle()
    async with client(monitor(shop.app, max_blocked=1)) as http:
        assert (await http.get("/health")).status_code == 200
    async with client(monitor(shop.app, max_blocked=1, max_age=0)) as http:
        assert (await http.get("/health")).status_code == 503
    with pytest.raises(ValidationError, match="max_age"):
        monitor(shop.app, max_age=-1)


async def test_metrics_come_in_the_format_that_is_asked_for(shop: Shop) -> None:
    async with client(monitor(shop.app)) as http:
        plain = await http.get("/metrics", headers={"accept": "text/plain"})
        openly = await http.get("/metrics", headers={"accept": "application/openmetrics-text;version=1.0.0,*/*"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openly.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert openly.text.endswith("# EOF\n")
    assert "act_fast_head 0" in plain.text


async def test_one_look_answers_all_that_ask_while_it_is_fresh(shop: Shop) -> None:
    async with client(monitor(shop.app, fresh=3600)) as http:
        first = await http.get("/health")
        shop.sell(1)
        answers = await asyncio.gather(*(http.get("/health") for _ in range(20)))
    assert {each.text for each in answers} == {first.text}


async def test_a_store_that_is_not_there_is_no_health(tmp_path: Path) -> None:
    async with client(monitor(tmp_path / "none.act")) as http:
        health, metrics = await http.get("/health"), await http.get("/metrics")
    assert (health.status_code, metrics.status_code) == (503, 503)
    assert "none.act" in health.json()["problems"][0]


async def test_other_pages_and_methods_are_refused(shop: Shop) -> None:
    async with client(monitor(shop.app)) as http:
        assert (await http.get("/")).status_code == 404
        assert (await http.post("/health")).status_code == 405
        head = await http.head("/health")
    assert (head.status_code, head.content) == (200, b"")


async def test_it_is_mounted_in_a_framework(shop: Shop) -> None:
    api = FastAPI()
    api.mount("/monitor", monitor(shop.app))
    async with client(api) as http:
        assert (await http.get("/monitor/health")).json()["healthy"] is True
        assert (await http.get("/monitor/metrics")).status_code == 200


def test_a_real_server_runs_it_and_ends(shop: Shop, tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / "page.py").write_text(f"from act_fast.monitoring import monitor\napp = monitor({str(shop.path)!r})\n")
    command = [sys.executable, "-m", "uvicorn", "page:app", "--port", str(port), "--lifespan", "on"]
    server = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    try:
        with fetched(f"http://127.0.0.1:{port}/health") as health:
            assert json.load(health)["healthy"] is True
        with pytest.raises(HTTPError, match="404"):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/")
    finally:
        server.terminate()
        _, told = server.communicate(timeout=PATIENCE_SECONDS)
    assert "Application startup complete" in told
    assert "Application shutdown complete" in told


def fetched(url: str) -> Any:
    """What a server answers, once it is there."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return urllib.request.urlopen(url)
        except URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
