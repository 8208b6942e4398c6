"""`make screenshots`: the pictures of the inspector in the guide, taken of a day at the example's shop."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from PIL import Image

from examples.shop.__main__ import ORDERS, main
from tests.support.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

ROOT: Final = Path(__file__).parents[1]
IMAGES: Final = ROOT / "docs" / "images"
SIZE: Final = {"width": 1280, "height": 800}
LAST: Final = f"{ORDERS + 3:04}"
QUERY: Final = "select strftime(created, '%H:00') as hour, count(*) as orders from opened group by 1 order by 1"
SHOTS: Final = {
    "overview": "/?span=24+h",
    "stream": f"/stream?name=order-{LAST}",
    "correlation": f"/correlation?id=checkout-{LAST}&near=950",
    "targets": "/targets",
    "why": "/target?name=mail-order-0057",
    "sql": f"/sql?{urlencode({'view': 'chart', 'q': QUERY})}",
    "model": "/model",
}


def take() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    folder = Path(tempfile.gettempdir()) / "shop"  # the commands in the pictures have this path
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    with chromium() as browser:
        store = folder / "shop.act"
        main(["--store", str(store)])
        command = [Path(sys.executable).with_name("act-fast"), "inspect", "examples.shop.app:app", "--port", "0"]
        # Paths and names in the pictures are those of nobody.
        environment = {"SHOP": str(store), "PYTHONPATH": str(ROOT), "LOGNAME": "ada", "PATH": os.environ["PATH"]}
        with subprocess.Popen([*command, "--write"], stderr=subprocess.PIPE, text=True, env=environment) as server:
            try:
                assert server.stderr is not None
                found = re.search(r"http://\S+", server.stderr.readline())
                assert found is not None
                page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1)
                page.goto(found[0])
                for name, view in SHOTS.items():
                    shoot(page, name, found[0].partition("/?")[0] + view)
                page.emulate_media(color_scheme="dark")
                shoot(page, "overview-dark", found[0].partition("/?")[0] + SHOTS["overview"])
            finally:
                server.terminate()


def shoot(page: "Page", name: str, address: str) -> None:
    """Take one, and write it small."""
    page.goto(address)
    page.wait_for_selector("#live[data-state=live]")
    page.wait_for_timeout(300)
    Image.open(io.BytesIO(page.screenshot())).save(IMAGES / f"inspector-{name}.webp", quality=82, method=6)
    print(IMAGES / f"inspector-{name}.webp", (IMAGES / f"inspector-{name}.webp").stat().st_size)


if __name__ == "__main__":
    take()
