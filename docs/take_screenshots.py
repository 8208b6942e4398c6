"""`make screenshots`: the pictures of the inspector in the guide, taken of a day at the example's shop."""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from PIL import Image

from examples.shop.__main__ import ORDERS, main
from tests.support.chromium import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Page

IMAGES: Final = Path(__file__).parent / "images"
SIZE: Final = {"width": 1280, "height": 800}
LAST: Final = f"{ORDERS + 3:04}"
SHOTS: Final = {
    "overview": "/?span=24+h",
    "stream": f"/stream?name=order-{LAST}",
    "correlation": f"/correlation?id=checkout-{LAST}&near=%s",
    "targets": "/targets",
    "why": "/target?name=mail-order-0057",
    "sql": "/sql?view=chart&q=select+strftime(created,+'%%H:00')+as+hour,+count(*)+as+orders+from+opened+group+by+1+order+by+1",
    "model": "/model",
}


def take() -> None:
    """Take them all."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        store = Path(folder) / "shop.act"
        main(["--store", str(store)])
        command = [Path(sys.executable).with_name("act-fast"), "inspect", "examples.shop.app:app", "--port", "0"]
        environment = {"SHOP": str(store), "PATH": "/usr/bin:/bin"}
        with subprocess.Popen(
            [*command, "--write"], stderr=subprocess.PIPE, text=True, env=environment
        ) as server:
            try:
                assert server.stderr is not None
                found = re.search(r"http://\S+", server.stderr.readline())
                assert found is not None
                page = browser.new_page(viewport=SIZE, color_scheme="light", device_scale_factor=1)
                page.goto(found[0])
                for name, view in SHOTS.items():
                    shoot(page, name, found[0].partition("/?")[0] + view.replace("%s", "950").replace("%%", "%25"))
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
