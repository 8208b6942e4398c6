"""What a process pays for having us in it: memory, time to import, processor time while nothing happens, and size."""

import io
import json
import os
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import act_fast
from act_fast import LogStore
from bench.harness.duel import Duel
from bench.harness.row import Measurement
from bench.harness.sizes import CHECKOUT, Sizes
from bench.rows.process import IDLE, IMPORT, MEMORY, SIZE, VERSION
from bench.stores.subject import DURABILITY, SUBJECT, write_library
from bench.workloads.events import Library

NOTHING = "none: nothing is written"
IMPORTED = {
    SUBJECT: "act_fast:Act,Event,State,action,reducer",
    "eventsourcing": "eventsourcing.application",
    "sqlite3": "sqlite3",
    "duckdb": "duckdb",
}
IDLE_SECONDS = 2.0


def bench_import(duel: Duel, sizes: Sizes) -> None:
    told: dict[str, list[float]] = {name: [] for name in present()}

    def run() -> None:
        for name in told:
            told[name].append(process("import", IMPORTED[name])["import_ms"])

    duel.time(run, rounds=sizes.rounds, warmup_rounds=1)
    duel.observe(IMPORT, [Measurement(name, NOTHING, values[1:]) for name, values in told.items()])


def bench_version(duel: Duel, sizes: Sizes) -> None:
    command = [str(Path(sys.executable).with_name("act-fast")), "--version"]
    told = duel.time(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL), rounds=sizes.rounds)
    duel.observe(VERSION, [Measurement(SUBJECT, NOTHING, [seconds * 1e3 for seconds in told])])


def bench_memory(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    with LogStore(shelf / "store", durability="os") as store:
        write_library(store, Library(streams=sizes.scaled(10_000, at_least=100), events_a_stream=100))
    told: dict[str, list[float]] = {}

    def run() -> None:
        for name in present():
            told.setdefault(f"{name}, imported", []).append(process("import", IMPORTED[name])["memory_mib"])
        for name, mib in process("use", shelf / "store").items():
            told.setdefault(f"{SUBJECT}, {name}", []).append(mib)

    duel.time(run, rounds=min(3, sizes.rounds))
    ours_first = sorted(told, key=lambda name: not name.startswith(SUBJECT))
    duel.observe(MEMORY, [Measurement(name, NOTHING, told[name]) for name in ours_first])


def bench_idle_worker(duel: Duel, sizes: Sizes, shelf: Path) -> None:
    told: list[float] = []
    seconds = max(IDLE_SECONDS * min(sizes.scale, 1.0), 0.1)
    duel.time(lambda: told.append(process("idle", shelf / "idle", seconds)["busy_us"] / seconds), rounds=1)
    duel.observe(IDLE, [Measurement(SUBJECT, DURABILITY["fsync"], told)])


def bench_size(duel: Duel) -> None:
    zipped: list[int] = []
    duel.time(lambda: zipped.append(zipped_bytes(Path(act_fast.__file__).parent)), rounds=1)
    duel.observe(SIZE, [Measurement(SUBJECT, NOTHING, [each / 2**20 for each in zipped])])


def present() -> list[str]:
    return [name for name, module in IMPORTED.items() if find_spec(module.split(":")[0].split(".")[0])]


def process(verb: str, *arguments: object) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.stores.lone_process", verb, *map(str, arguments)]
    # What pip installs is compiled ahead, and so are these by the first round.
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=CHECKOUT, env=compiled, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def zipped_bytes(folder: Path) -> int:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in folder.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder))
    return packed.tell()
