"""The embedded PostgreSQL as real processes: who may start it, who may enter, what a kill costs."""

import asyncio
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from hazina.bootstrap.embedded import DataDirBusy, DataDirUnusable, EmbeddedPostgres
from hazina.bootstrap.pg_record import urls_of
from tests.process.running import EmbeddedProcess, children_of, environment, is_gone, kill_all
from tests.process.waiting import wait_until

pytestmark = pytest.mark.process
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="parent-death signals are Linux's")
root_only = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")


async def _value(url: str, sql: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


class TestDoors:
    async def test_nothing_listens_on_tcp_and_every_login_is_scram(
        self, server: EmbeddedPostgres
    ) -> None:
        admin = server.urls.admin
        assert await _value(admin, "SHOW listen_addresses") == ""
        methods = await _value(
            admin, "SELECT array_agg(DISTINCT auth_method) FROM pg_hba_file_rules"
        )
        assert methods == ["scram-sha-256"]
        wrong = server.urls.app.replace("@", "x@", 1)
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(wrong)

    async def test_only_its_user_enters_the_folders_of_socket_and_cluster(
        self, server: EmbeddedPostgres
    ) -> None:
        socket_dir = Path(str(await _value(server.urls.admin, "SHOW unix_socket_directories")))
        for folder in (socket_dir, server.place, server.place / "cluster"):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for secret in ("database.json", "hazina.lock", "logs/postgres.log"):
            assert stat.S_IMODE((server.data_dir / secret).stat().st_mode) == 0o600

    async def test_the_application_makes_no_tables_and_the_reader_writes_none(
        self, server: EmbeddedPostgres
    ) -> None:
        await _value(server.urls.owner, "CREATE SCHEMA gold")
        await _value(server.urls.owner, "CREATE TABLE gold.lot (grams int)")
        await _value(server.urls.owner, "GRANT USAGE ON SCHEMA gold TO hazina_app, hazina_read")
        await _value(server.urls.owner, "GRANT ALL ON gold.lot TO hazina_read")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _value(server.urls.app, "CREATE TABLE public.mine (a int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await _value(server.urls.app, "SELECT grams FROM gold.lot")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await _value(server.urls.readonly, "INSERT INTO gold.lot VALUES (1)")

    async def test_it_runs_in_c_locale_and_utf8_with_checksums_and_durable_commits(
        self, server: EmbeddedPostgres
    ) -> None:
        shown = {
            name: await _value(server.urls.app, f"SHOW {name}")
            for name in ("server_encoding", "data_checksums", "fsync", "synchronous_commit")
        }
        assert shown == {
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "fsync": "on",
            "synchronous_commit": "on",
        }
        collation = "SELECT datcollate FROM pg_database WHERE datname = 'hazina'"
        assert await _value(server.urls.app, collation) == "C"


class TestOneStartPerDataDirectory:
    def test_a_second_start_says_who_is_there(self, server: EmbeddedPostgres) -> None:
        with pytest.raises(DataDirBusy, match=f"already running on .*, pid {os.getpid()}"):
            EmbeddedPostgres(server.data_dir).start()

    def test_a_second_process_says_so_and_ends_with_1(self, server: EmbeddedPostgres) -> None:
        second = subprocess.run(
            [sys.executable, "-m", "hazina.bootstrap.embedded", "--data", str(server.data_dir)],
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert second.returncode == 1
        assert f"already running on {server.data_dir}, pid {os.getpid()}" in second.stderr
        assert second.stdout == ""

    def test_a_command_beside_it_finds_its_urls(self, server: EmbeddedPostgres) -> None:
        assert urls_of(server.data_dir) == server.urls
        server.stop()
        assert urls_of(server.data_dir) is None

    def test_a_stopped_server_gives_the_directory_back(self, data_dir: Path) -> None:
        first = EmbeddedProcess.start(data_dir)
        assert first.terminate() == 0
        assert first.every_server_process_is_gone()
        with EmbeddedPostgres(data_dir) as second:
            assert second.urls.app == first.urls["app"]
        second.discard()


class TestKills:
    async def test_every_acknowledged_row_survives_a_killed_server(
        self, server: EmbeddedPostgres
    ) -> None:
        await _value(server.urls.owner, "CREATE TABLE ack (n int PRIMARY KEY)")
        acknowledged = await _write_until_killed(server, after=300)
        server.restart()
        kept = await _value(server.urls.owner, "SELECT count(*) FROM ack")
        assert acknowledged >= 300
        assert kept in (acknowledged, acknowledged + 1)  # the last commit's answer may be lost

    @linux_only
    def test_a_killed_parent_takes_the_server_with_it(self, data_dir: Path) -> None:
        embedded = EmbeddedProcess.start(data_dir)
        postmaster = embedded.postmaster
        embedded.kill_supervisor()
        wait_until("the postmaster is gone", is_gone(postmaster))
        wait_until("its children are gone", embedded.every_server_process_is_gone)
        EmbeddedPostgres(data_dir).discard()

    @linux_only
    async def test_a_start_right_after_a_killed_parent_waits_and_goes_on(
        self, data_dir: Path
    ) -> None:
        embedded = EmbeddedProcess.start(data_dir)
        await _value(embedded.urls["owner"], "CREATE TABLE kept AS SELECT 7 AS n")
        embedded.kill_supervisor()
        with EmbeddedPostgres(data_dir) as following:
            assert await _value(following.urls.owner, "SELECT n FROM kept") == 7
        following.discard()

    @linux_only
    async def test_a_start_after_everything_was_killed_at_once_goes_on(
        self, data_dir: Path
    ) -> None:
        embedded = EmbeddedProcess.start(data_dir)
        await _value(embedded.urls["owner"], "CREATE TABLE kept AS SELECT 7 AS n")
        postmaster = embedded.postmaster
        kill_all([embedded.process.pid, *children_of(postmaster), postmaster])
        embedded.kill_supervisor()
        with EmbeddedPostgres(data_dir) as following:
            assert await _value(following.urls.owner, "SELECT n FROM kept") == 7
        following.discard()

    async def test_a_pid_file_that_names_a_stranger_is_not_believed(
        self, server: EmbeddedPostgres
    ) -> None:
        """After a reboot the number in it may be anybody's, ours included."""
        assert server.process is not None
        server.process.kill()
        server.process.wait()
        pid_file = server.place / "cluster" / "postmaster.pid"
        lines = pid_file.read_text().split("\n")
        pid_file.write_text("\n".join([str(os.getppid()), *lines[1:]]))
        server.restart()
        assert await _value(server.urls.app, "SELECT 1") == 1

    def test_a_making_that_was_killed_half_way_starts_over(self, data_dir: Path) -> None:
        (data_dir / "postgres" / "cluster.new").mkdir(parents=True)
        (data_dir / "postgres" / "cluster.new" / "PG_VERSION").write_text("18\n")
        data_dir.chmod(0o711)
        (data_dir / "postgres").chmod(0o711)
        with EmbeddedPostgres(data_dir) as server:
            assert (server.place / "cluster").is_dir()
            assert not (server.place / "cluster.new").exists()
        server.discard()


class TestUnusableData:
    def test_a_record_that_others_can_read_is_refused(self, server: EmbeddedPostgres) -> None:
        server.stop()
        record = server.data_dir / "database.json"
        record.chmod(0o644)
        with pytest.raises(DataDirUnusable, match="open to others: chmod 600"):
            EmbeddedPostgres(server.data_dir).start()
        record.chmod(0o600)

    def test_a_vanished_cluster_is_never_replaced_by_an_empty_one(
        self, server: EmbeddedPostgres
    ) -> None:
        server.stop()
        cluster = server.place / "cluster"
        aside = cluster.rename(cluster.with_name("aside"))
        with pytest.raises(DataDirUnusable, match="the database is gone"):
            EmbeddedPostgres(server.data_dir).start()
        aside.rename(cluster)
        server.start()

    def test_a_file_in_the_place_of_the_directory_is_refused(self, room: Path) -> None:
        (room / "data").write_text("not a directory")
        with pytest.raises(DataDirUnusable, match="is not a directory"):
            EmbeddedPostgres(room / "data").start()

    @root_only
    def test_another_users_record_is_refused(self, server: EmbeddedPostgres) -> None:
        server.stop()
        record = server.data_dir / "database.json"
        os.chown(record, 65534, 65534)
        with pytest.raises(DataDirUnusable, match="belongs to"):
            EmbeddedPostgres(server.data_dir).start()
        os.chown(record, 0, 0)


class TestPlaces:
    def test_a_path_too_long_for_a_socket_gets_a_short_one_elsewhere(self, room: Path) -> None:
        with EmbeddedPostgres(room / ("long" * 30)) as server:
            assert asyncio.run(_value(server.urls.app, "SELECT 1")) == 1
            first = server.urls
            server.stop()
            assert server.start() == first  # addresses stay, for whoever still holds them
            socket_dir = Path(
                json.loads((server.data_dir / "database.json").read_text())["socket_dir"]
            )
            assert len(str(socket_dir)) < 100
            assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
        server.discard()
        assert not socket_dir.exists()

    @root_only
    def test_root_with_a_closed_folder_gives_the_cluster_a_place_and_opens_nothing(
        self, room: Path
    ) -> None:
        room.chmod(0o700)
        with EmbeddedPostgres(room / "data") as server:
            assert asyncio.run(_value(server.urls.app, "SELECT 1")) == 1
            assert server.place.is_relative_to("/var/lib/hazina/clusters")
            assert stat.S_IMODE(room.stat().st_mode) == 0o700
        server.discard()
        assert not server.place.exists()

    @root_only
    def test_root_never_runs_the_server_as_root(self, server: EmbeddedPostgres) -> None:
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0

    @pytest.mark.parametrize("program", ["psql", "pgbench", "pg_dump", "pg_basebackup"])
    def test_its_programs_run(self, server: EmbeddedPostgres, program: str) -> None:
        said = subprocess.run(
            [server.bin(program), "--version"], capture_output=True, text=True, check=True
        )
        assert "PostgreSQL) 18" in said.stdout


async def _write_until_killed(server: EmbeddedPostgres, *, after: int) -> int:
    """Rows one by one, each counted once acknowledged; the server is killed amid them."""
    connection = await asyncpg.connect(server.urls.owner)
    acknowledged = 0
    process = server.process
    assert process is not None
    try:
        while True:
            await connection.execute("INSERT INTO ack VALUES ($1)", acknowledged)
            acknowledged += 1
            if acknowledged == after:
                asyncio.get_running_loop().call_soon(process.kill)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        return acknowledged
    finally:
        connection.terminate()
