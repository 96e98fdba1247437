"""Postgres and the emulator: they start, answer, keep what they should, and leave nothing behind."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import boto3
import pytest
from botocore.exceptions import ClientError

from tests.examples import long
from totesys_cli.command_errors import LocalStackError
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.local_postgres import PostgresServer
from totesys_cli.local.ports import free_port, port_in_use
from totesys_cli.local.reachable import ReachablePostgres
from totesys_infra import data_plane_template

TEMPLATE = data_plane_template()
MANIFEST = "runs/run=00000001/manifest.json"


def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.02)


def is_running(text: str) -> bool:
    """Whether a process has `text` in its command line."""
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if text in entry.read_text(errors="replace"):
                return True
        except OSError:
            continue
    return False


def wakeups(emulator: Emulator, queue_url: str, seconds: int = 0) -> list[str]:
    """The keys of the objects that a queue's next messages tell of."""
    received = emulator.sqs.receive_message(QueueUrl=queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=seconds).get(
        "Messages", []
    )
    bodies = [json.loads(message["Body"]) for message in received]
    return [record["s3"]["object"]["key"] for body in bodies for record in body.get("Records", [])]


@pytest.fixture
def parent() -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts a Python program; the ones still running are ended with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(code: str) -> "subprocess.Popen[str]":
        started.append(
            subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def line(process: "subprocess.Popen[str]") -> list[str]:
    assert process.stdout is not None
    return process.stdout.readline().split()


async def test_postgres_answers_in_fresh_databases(database: Callable[[], str]) -> None:
    one, other = database(), database()
    assert one != other
    connection = await asyncpg.connect(one)
    try:
        await connection.execute("CREATE TABLE thing (id int)")
        assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    finally:
        await connection.close()
    connection = await asyncpg.connect(other)
    try:
        assert await connection.fetchval("SELECT to_regclass('thing')") is None
    finally:
        await connection.close()


async def test_postgres_refuses_a_wrong_password(postgres: ReachablePostgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.dsn(password="wrong"))


def test_postgres_removes_its_temporary_folder() -> None:
    with PostgresServer.start(durable=False) as server:
        assert server.folder.exists()
    assert not server.folder.exists()
    assert not is_running(str(server.folder))


async def test_what_postgres_commits_survives_a_stop_and_a_kill(folder: Path) -> None:
    async def run(server: PostgresServer, statement: str) -> object:
        connection = await asyncpg.connect(server.dsn())
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    with PostgresServer.start(folder / "postgres", durable=False) as server:
        await run(server, "CREATE TABLE thing AS SELECT 1 AS id")
    with PostgresServer.start(folder / "postgres", durable=False) as server:
        await run(server, "INSERT INTO thing VALUES (2)")
        os.kill(server.pid, signal.SIGKILL)
    with PostgresServer.start(folder / "postgres", durable=False) as server:
        assert await run(server, "SELECT sum(id) FROM thing") == 3


def test_a_killed_parent_leaves_no_postgres(parent: Callable[[str], "subprocess.Popen[str]"]) -> None:
    process = parent("""
        import time
        from totesys_cli.local.local_postgres import PostgresServer
        server = PostgresServer.start(durable=False)
        print(server.port, server.folder, flush=True)
        time.sleep(600)
    """)
    port, data = line(process)
    assert port_in_use(int(port))
    process.kill()
    eventually(lambda: not is_running(data))
    assert not port_in_use(int(port))
    eventually(lambda: not Path(data).exists())


@pytest.mark.parametrize("milliseconds", [120, *long(1, 60, 200, 280, 360)])
def test_a_parent_killed_while_postgres_starts_leaves_a_usable_folder(
    milliseconds: int, folder: Path, parent: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    process = parent(f"""
        import time
        from pathlib import Path
        from totesys_cli.local.local_postgres import PostgresServer
        print("starting", flush=True)
        PostgresServer.start(Path({str(folder / "postgres")!r}), durable=False)
        time.sleep(600)
    """)
    line(process)
    time.sleep(milliseconds / 1000)
    process.kill()
    process.wait()
    with PostgresServer.start(folder / "postgres", durable=False) as server:
        server.create_database("usable")
    assert not is_running(str(folder))


def test_a_failed_start_of_postgres_says_why(folder: Path) -> None:
    (folder / "postgres" / "data").mkdir(parents=True)
    with pytest.raises(LocalStackError, match=r"(?s)Postgres exited with 2 .*postgresql\.conf"):
        PostgresServer.start(folder / "postgres")


@pytest.mark.parametrize("server", [PostgresServer, Emulator])
def test_a_port_in_use_is_a_clear_error(server: type[PostgresServer] | type[Emulator]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalStackError, match=rf"127\.0\.0\.1:{port}: the port is in use\. Stop"):
            server.start(port=port)


@pytest.mark.parametrize("server", [PostgresServer, Emulator])
def test_a_port_taken_meanwhile_is_tried_anew(
    server: type[PostgresServer] | type[Emulator], monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        ports = iter([taken.getsockname()[1], free_port()])
        monkeypatch.setattr("totesys_cli.local.ports.free_port", lambda: next(ports))
        with server.start() as running:
            assert running.port != taken.getsockname()[1]


@pytest.mark.parametrize("server", [PostgresServer, Emulator])
def test_a_folder_in_use_is_a_clear_error(
    server: type[PostgresServer] | type[Emulator], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("totesys_cli.local.private_files.LOCK_SECONDS", 0.1)
    with server.start(folder / "state"), pytest.raises(LocalStackError, match="another one runs there"):
        server.start(folder / "state")


def test_a_killed_parent_leaves_no_emulator(parent: Callable[[str], "subprocess.Popen[str]"]) -> None:
    process = parent("""
        import time
        from totesys_cli.local.emulator import Emulator
        emulator = Emulator.start()
        print(emulator.port, emulator.scratch, flush=True)
        time.sleep(600)
    """)
    port, scratch = line(process)
    assert port_in_use(int(port))
    assert Path(scratch).exists()
    process.kill()
    eventually(lambda: not port_in_use(int(port)) and not is_running(scratch))
    assert not Path(scratch).exists()


def test_a_committed_run_wakes_the_next_stage(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    for bucket, queue_url in (
        (data_plane.ingest_bucket, data_plane.transform_queue_url),
        (data_plane.processed_bucket, data_plane.load_queue_url),
    ):
        emulator.s3.put_object(Bucket=bucket, Key="x/part-00000.csv", Body=b"1")
        emulator.s3.put_object(Bucket=bucket, Key=MANIFEST, Body=b"{}")
        keys: list[str] = []
        while not keys:
            keys = wakeups(emulator, queue_url, 1)
        assert [re.sub("%3D", "=", key) for key in keys] == [MANIFEST]
        assert wakeups(emulator, queue_url) == []
    assert wakeups(emulator, data_plane.ingest_queue_url) == []


@pytest.mark.parametrize("kill", [True, *long(False)])
def test_objects_survive_and_all_works_again(
    kill: bool, folder: Path, parent: Callable[[str], "subprocess.Popen[str]"]
) -> None:
    process = parent(f"""
        import time
        from pathlib import Path
        from totesys_cli.local.emulator import Emulator
        from totesys_infra import data_plane_template
        with Emulator.start(Path({str(folder)!r})) as emulator:
            emulator.apply(data_plane_template())
            put = emulator.s3.put_object(
                Bucket="totesys-ingest", Key={MANIFEST!r}, Body=b"kept", Metadata={{"a": "b"}}
            )
            print(emulator.pid, put["ETag"], flush=True)
            {"time.sleep(600)" if kill else "pass"}
    """)
    guard, etag = line(process)
    if kill:
        for pid in Path(f"/proc/{guard}/task/{guard}/children").read_text().split():
            os.kill(int(pid), signal.SIGKILL)
        process.kill()
    process.wait(20)
    with Emulator.start(folder) as emulator:
        plane = emulator.apply(TEMPLATE, schedule="rate(1 minute)")
        found = emulator.s3.get_object(Bucket=plane.ingest_bucket, Key=MANIFEST)
        with found["Body"] as body:
            assert body.read() == b"kept"
        assert (found["ETag"], found["Metadata"]) == (etag, {"a": "b"})
        with pytest.raises(ClientError, match="PreconditionFailed"):
            emulator.s3.put_object(Bucket=plane.ingest_bucket, Key=MANIFEST, IfNoneMatch="*")
        test_a_committed_run_wakes_the_next_stage(emulator, plane)
        assert schedule_of(emulator, "totesys") == ("rate(1 minute)", "ENABLED")
        assert emulator.apply(TEMPLATE) == plane
        assert schedule_of(emulator, "totesys")[1] == "DISABLED"


def schedule_of(emulator: Emulator, name: str) -> tuple[str, str]:
    with closing(
        boto3.client(
            "events",
            endpoint_url=emulator.endpoint_url,
            region_name="eu-west-2",
            aws_access_key_id=emulator.credentials.access_key,
            aws_secret_access_key=emulator.credentials.secret_key,
        )
    ) as events:
        (target,) = events.list_targets_by_rule(Rule=f"{name}-tick")["Targets"]
        assert json.loads(target["Input"]) == {"mode": "changes", "trigger": "schedule"}
        assert target["Arn"].endswith(f":{name}-ingest")
        rule = events.describe_rule(Name=f"{name}-tick")
        return rule["ScheduleExpression"], rule["State"]


def test_every_option_of_the_data_plane_can_be_made(emulator: Emulator) -> None:
    chosen = {
        "Name": "optional",
        "AlertEmail": "data@example.com",
        "AlertHttps": "https://alerts.example.com/key",
        "TierDays": "30",
        "CsvDays": "90",
        "Lakehouse": "true",
    }
    emulator.cloudformation.create_stack(
        StackName="optional",
        TemplateBody=data_plane_template(),
        Parameters=[{"ParameterKey": key, "ParameterValue": text} for key, text in chosen.items()],
    )
    emulator.cloudformation.get_waiter("stack_create_complete").wait(
        StackName="optional", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )
    made = emulator.cloudformation.list_stack_resources(StackName="optional")["StackResourceSummaries"]
    declared = json.loads(data_plane_template())["Resources"]
    assert {resource["LogicalResourceId"] for resource in made} == set(declared)


def test_without_an_address_nobody_is_subscribed(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    name = data_plane.code_bucket.removesuffix("-code")
    made = emulator.cloudformation.list_stack_resources(StackName=name)["StackResourceSummaries"]
    declared = json.loads(data_plane_template())["Resources"]
    optional = {name for name in declared if name.startswith("Lakehouse")} | {"AlertsByEmail", "AlertsByHttps"}
    assert set(declared) - {resource["LogicalResourceId"] for resource in made} == optional


def test_applying_twice_changes_nothing(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    name = data_plane.ingest_bucket.removesuffix("-ingest")
    emulator.s3.put_object(Bucket=data_plane.ingest_bucket, Key=MANIFEST, Body=b"{}")
    assert emulator.apply(TEMPLATE, name) == data_plane
    assert emulator.s3.get_object(Bucket=data_plane.ingest_bucket, Key=MANIFEST)["ContentLength"] == 2
    keys: list[str] = []
    while not keys:
        keys = wakeups(emulator, data_plane.transform_queue_url, 1)
    assert len(keys) == 1


def test_a_data_plane_that_is_refused_is_a_clear_error(emulator: Emulator) -> None:
    with pytest.raises(LocalStackError, match="The emulator cannot create the data plane UPPER"):
        emulator.apply(TEMPLATE, "UPPER")
