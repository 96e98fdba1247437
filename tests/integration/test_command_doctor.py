"""`totesys doctor`: of a broken set-up it says what is broken and how to mend it, and checks all the rest."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from tests.command import PASSWORD, Command, Ended, as_role
from tests.models.library import MODEL
from tests.processes import LIBRARY
from tests.sources import execute, make_library
from totesys.sql import literal
from totesys_cli.doctor.finding import Finding, FindingLevel
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.ports import LOOPBACK
from totesys_cli.local.reachable import ReachablePostgres
from totesys_cli.source_database import publication_statement
from totesys_infra import data_plane_template

NAME = "test-doctor"
READER, LOADER = "doctor_reader", "doctor_loader"


@dataclass(frozen=True)
class Patient:
    """A set-up in which all is well, and the command for it."""

    totesys: Command
    emulator: Emulator
    plane: LocalDataPlane
    source: str
    warehouse: str

    def call(self, *options: str) -> Ended:
        place = ("--name", NAME, "--endpoint", self.plane.endpoint_url)
        databases = ("--source", as_role(self.source, READER), "--warehouse", as_role(self.warehouse, LOADER))
        # Of an option that is there twice, the last one counts.
        return self.totesys("doctor", *databases, *place, *options)

    def complaints(self, *options: str) -> dict[str, Finding]:
        """What it complains of, by check; nothing without a remedy, and not one check less than it makes."""
        ended = self.call("--json", *options)
        findings = [Finding(**finding) for finding in json.loads(ended.out)]
        assert len({finding.check for finding in findings}) == len(findings) == CHECKS
        complaints = {finding.check: finding for finding in findings if finding.level != FindingLevel.OK}
        assert all(finding.remedy for finding in complaints.values())
        assert ended.code == any(finding.level == FindingLevel.FAIL for finding in complaints.values())
        return {check: finding for check, finding in complaints.items() if check not in OFF}

    def failures(self, *options: str) -> dict[str, str]:
        """What fails, with the sentence and the remedy."""
        found = self.complaints(*options).items()
        return {check: f"{one.sentence} {one.remedy}" for check, one in found if one.level == FindingLevel.FAIL}


CHECKS = 36
# A test's data plane has no schedule.
OFF = {f"schedule {NAME}-{rule}" for rule in ("tick", "sweep", "verify")}


@pytest.fixture(scope="module")
async def patient(
    postgres: ReachablePostgres, emulator: Emulator, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Patient]:
    source = await make_library(postgres.create_database("doctor_source"))
    warehouse = postgres.create_database("doctor_warehouse")
    for role in (READER, LOADER):
        await execute(source, f"CREATE ROLE {role} LOGIN PASSWORD {literal(PASSWORD)}")
    await execute(source, f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {READER}")
    await execute(warehouse, f"GRANT CREATE ON DATABASE doctor_warehouse TO {LOADER}")
    command = Command(tmp_path_factory.mktemp("doctor"))
    command.settings = LIBRARY
    yield Patient(command, emulator, emulator.apply(data_plane_template(), NAME), source, warehouse)
    for name in ("doctor_source", "doctor_warehouse"):
        postgres.drop_database(name)
    await execute(postgres.dsn(), f"DROP ROLE {READER}, {LOADER}")


def test_a_set_up_in_which_all_is_well_passes_each_check_and_is_left_as_it_was(patient: Patient) -> None:
    assert patient.complaints() == {}
    ended = patient.call("--quiet")
    assert (ended.code, f"{CHECKS - len(OFF)} checks ok, {len(OFF)} warnings, 0 failed." in ended.out) == (0, True)


def test_a_wrong_password_a_missing_database_and_a_dead_lake_are_each_told_at_once(patient: Patient) -> None:
    wrong = as_role(patient.source, READER, "wr0ng")
    failures = patient.failures(
        "--source", wrong, "--warehouse", f"{patient.warehouse}_not", "--endpoint", f"http://{LOOPBACK}:1"
    )
    assert failures.keys() == {"source connection", "warehouse connection", "lake connection"}
    assert "password authentication failed" in failures["source connection"]
    assert "Correct the DSN or grant the " in failures["source connection"]
    assert "does not exist" in failures["warehouse connection"]
    assert "Create it, or correct the DSN." in failures["warehouse connection"]
    assert "Check --endpoint and the AWS settings" in failures["lake connection"]
    assert "wr0ng" not in str(failures)


async def test_a_source_that_is_not_as_declared_is_told_with_each_difference(patient: Patient) -> None:
    await execute(
        patient.source,
        "ALTER TABLE book RENAME TO books",
        "ALTER TABLE loan ALTER returned TYPE text",
        f"REVOKE SELECT ON loan FROM {READER}",
    )
    (failure,) = patient.failures().items()
    await execute(
        patient.source,
        "ALTER TABLE books RENAME TO book",
        "ALTER TABLE loan ALTER returned TYPE boolean USING returned::boolean",
        f"GRANT SELECT ON loan TO {READER}",
    )
    assert failure[0] == "source tables"
    for words in (
        "table book is missing (books is not declared: renamed?)",
        "column loan.returned is text, declared as boolean",
        "no SELECT on loan",
        f'GRANT SELECT ON ALL TABLES IN SCHEMA "public" TO {READER}',
    ):
        assert words in failure[1]


async def test_a_right_that_is_missing_is_told_with_its_grant(patient: Patient) -> None:
    function = "FUNCTION pg_catalog.pg_try_advisory_lock(bigint)"
    await execute(patient.warehouse, f"REVOKE CREATE ON DATABASE doctor_warehouse FROM {LOADER}")
    await execute(patient.source, f"REVOKE EXECUTE ON {function} FROM PUBLIC")
    failures = patient.failures()
    await execute(patient.warehouse, f"GRANT CREATE ON DATABASE doctor_warehouse TO {LOADER}")
    await execute(patient.source, f"GRANT EXECUTE ON {function} TO PUBLIC")
    assert failures.keys() == {"warehouse tables", "source functions"}
    assert "Grant CREATE on the database" in failures["warehouse tables"]
    assert f"GRANT EXECUTE ON FUNCTION pg_try_advisory_lock(bigint) TO {READER}" in failures["source functions"]


async def test_a_role_that_may_have_few_connections_is_told_how_many_are_wanted(patient: Patient) -> None:
    await execute(patient.source, f"ALTER ROLE {READER} CONNECTION LIMIT 1")
    complaints = patient.complaints()
    await execute(patient.source, f"ALTER ROLE {READER} CONNECTION LIMIT -1")
    (finding,) = complaints.values()
    assert finding.level == FindingLevel.WARN
    assert finding.sentence.startswith(f"Connections of {READER} to the source: 1 allowed, 4 used if available.")
    assert f"ALTER ROLE {READER} CONNECTION LIMIT 4" in finding.remedy


async def test_the_statements_that_allow_capture_from_the_log_are_printed_until_it_is_available(
    patient: Patient,
) -> None:
    publish = publication_statement(MODEL, "public", "totesys")
    statements = (f"ALTER ROLE {READER} REPLICATION", publish)
    (before,) = (one for one in json.loads(patient.call("--json").out) if one["check"] == "source log")
    await execute(patient.source, *statements)
    (finding,) = patient.complaints().values()
    await execute(patient.source, f"ALTER ROLE {READER} NOREPLICATION", "DROP PUBLICATION totesys")
    assert f"To make it available: {'; '.join(statements)}: docs/capture.md." in before["sentence"]
    assert finding.sentence.startswith("Capture from the log is available.")
    assert "max_slot_wal_keep_size" in finding.remedy


def test_a_data_plane_that_is_not_as_the_template_says_is_told_part_by_part(patient: Patient) -> None:
    emulator, plane = patient.emulator, patient.plane
    s3, sqs = emulator.s3, emulator.sqs
    events = {bucket: s3.get_bucket_notification_configuration(Bucket=bucket) for bucket in
              (plane.ingest_bucket, plane.processed_bucket)}  # fmt: skip
    (to_transform,) = events[plane.ingest_bucket]["QueueConfigurations"]
    to_load = events[plane.processed_bucket]["QueueConfigurations"][0]["QueueArn"]
    s3.put_bucket_notification_configuration(
        Bucket=plane.ingest_bucket,
        NotificationConfiguration={"QueueConfigurations": [to_transform | {"QueueArn": to_load}]},
    )
    s3.put_bucket_notification_configuration(Bucket=plane.processed_bucket, NotificationConfiguration={})
    sqs.set_queue_attributes(QueueUrl=plane.ingest_queue_url, Attributes={"RedrivePolicy": ""})
    sqs.send_message(QueueUrl=plane.load_dlq_url, MessageBody="{}")
    sqs.delete_queue(QueueUrl=plane.transform_dlq_url)
    complaints = patient.complaints()
    assert complaints.keys() == {
        f"events of {NAME}-ingest", f"events of {NAME}-processed", f"dead letters of {NAME}-ingest",
        f"queue {NAME}-transform-dlq", "dead letters",
    }  # fmt: skip
    assert complaints["dead letters"].sentence == "There are 1 dead letters: load 1."
    said = {check: finding.sentence for check, finding in complaints.items()}
    assert f"triggers {NAME}-load, not {NAME}-transform" in said[f"events of {NAME}-ingest"]
    assert f"A manifest in {NAME}-processed does not trigger {NAME}-load" in said[f"events of {NAME}-processed"]
    assert "never becomes a dead letter" in said[f"dead letters of {NAME}-ingest"]
    assert "does not exist" in said[f"queue {NAME}-transform-dlq"]


def test_a_name_that_no_data_plane_has_is_told_bucket_by_bucket(patient: Patient) -> None:
    failures = patient.failures("--name", "nobodys")
    assert "The bucket nobodys-ingest does not exist." in failures["bucket nobodys-ingest"]
    assert "Correct --name" in failures["bucket nobodys-ingest"]
    assert {check.split()[0] for check in failures} == {"bucket", "queue", "schedule"}


def test_a_variable_that_nobody_reads_is_told_with_the_one_that_is_meant(patient: Patient) -> None:
    patient.totesys.settings = LIBRARY | {"TOTESYS_WAREHOUSE_DNS": urlsplit(patient.warehouse).path}
    complaints = patient.complaints()
    patient.totesys.settings = LIBRARY
    assert (
        "Nothing reads TOTESYS_WAREHOUSE_DNS (did you mean TOTESYS_WAREHOUSE_DSN?)" in complaints["variables"].sentence
    )
