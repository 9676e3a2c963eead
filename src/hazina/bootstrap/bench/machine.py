"""The machine that is measured on: cores, load, how long its disk takes to keep a promise."""

import asyncio
import os
import platform
import time
from pathlib import Path
from typing import Any

import asyncpg

from hazina.bootstrap.bench.report import percentile

BLOCK_BYTES = 4096
SYNCS = 200
SYNC_S = 1.0
SETTINGS = (
    "server_version", "fsync", "synchronous_commit", "full_page_writes", "wal_sync_method",
    "shared_buffers", "max_wal_size", "max_connections",
)  # fmt: skip


def fdatasync_us(folder: Path) -> dict[str, float]:
    """This will write and sync 4 kB again and again in ``folder``: median and 99th percentile."""
    path = folder / "fdatasync.probe"
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    block, took = os.urandom(BLOCK_BYTES), []
    try:
        os.pwrite(fd, block * 16, 0)
        os.fsync(fd)
        until = time.perf_counter() + SYNC_S
        for number in range(SYNCS):
            began = time.perf_counter()
            os.pwrite(fd, block, number % 16 * BLOCK_BYTES)  # as the log does: no growth
            os.fdatasync(fd)
            took.append((time.perf_counter() - began) * 1e6)
            if time.perf_counter() > until:
                break
    finally:
        os.close(fd)
        path.unlink()
    took.sort()
    return {"p50": round(percentile(took, 0.5), 1), "p99": round(percentile(took, 0.99), 1)}


def load() -> float:
    """The load average of the last minute: how many others wanted the processors too."""
    return round(os.getloadavg()[0], 2)


def processor_s(pid: int) -> float:
    """What a process has computed so far, to the microsecond; 0 where the system does not say."""
    try:
        told = Path(f"/proc/{pid}/schedstat").read_text()
    except OSError:
        return 0.0
    return int(told.split()[0]) / 1e9


async def describe(url: str, folder: Path) -> dict[str, Any]:
    """What every benchmark prints before its own figures."""
    connection = await asyncpg.connect(url)
    try:
        settings = {name: await connection.fetchval(f"SHOW {name}") for name in SETTINGS}
    finally:
        await connection.close()
    return {
        "cores": os.cpu_count(),
        "platform": platform.machine(),
        "python": platform.python_version(),
        "load_before": load(),
        "fdatasync_4k_us": await asyncio.to_thread(fdatasync_us, folder),
        "postgresql": settings,
    }
