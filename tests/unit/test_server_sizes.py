"""What the embedded server allows itself, on small and on large machines."""

import pytest

from hazina.bootstrap.pg_cluster import MB, Sizes, memory_bytes

GB = 1024 * MB


@pytest.mark.parametrize(
    ("memory", "disk", "shared_mb", "max_wal_mb"),
    [
        (256 * MB, 2 * GB, 128, 1024),
        (4 * GB, 40 * GB, 1024, 4096),
        (512 * GB, 4096 * GB, 2048, 8192),
    ],
)
def test_a_quarter_of_the_memory_and_a_tenth_of_the_disk_within_bounds(
    memory: int, disk: int, shared_mb: int, max_wal_mb: int
) -> None:
    sizes = Sizes.of(memory, disk)
    assert (sizes.shared_mb, sizes.max_wal_mb) == (shared_mb, max_wal_mb)


def test_the_memory_is_this_machine_s() -> None:
    assert memory_bytes() >= 64 * MB
