"""Nobody but the stack's own services gets past the emulator's gate, with nothing that they don't need."""

import json
import signal
from base64 import b64encode
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Key
from botocore.exceptions import ClientError

from tests.command import Command, Companies, line_with
from tests.examples import long
from tests.exploits import FUNCTION, curl, function_code
from totesys_cli.local.emulator import Emulator
from totesys_cli.local.emulator_access import REGION, SERVICES, Credentials, find
from totesys_cli.local.local_data_plane import LocalDataPlane
from totesys_cli.local.reachable import ReachablePostgres

KINDS = ("none", "foreign", "its own")


def key_of(emulator: Emulator, kind: str) -> Credentials | None:
    return {"none": None, "foreign": Credentials("test", "test"), "its own": emulator.credentials}[kind]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("service", ["lambda", "s3", "iam", "sts", "events"])
def test_no_function_is_made_nor_called(emulator: Emulator, service: str, kind: str) -> None:
    key = key_of(emulator, kind)
    body = json.dumps({**FUNCTION, "Code": {"ZipFile": b64encode(function_code()).decode()}})
    made = curl(emulator.endpoint_url, "/2015-03-31/functions", body, key, service)
    called = curl(
        emulator.endpoint_url, f"/2015-03-31/functions/{FUNCTION['FunctionName']}/invocations", "{}", key, service
    )
    assert made.status in {400, 403, 404, 405}, made.text
    assert called.status in {400, 403, 404, 405}, called.text
    assert "uid" not in called.text


@pytest.mark.parametrize("kind", ["none", "foreign"])
def test_nobody_else_reads_the_lake(emulator: Emulator, data_plane: LocalDataPlane, kind: str) -> None:
    emulator.s3.put_object(Bucket=data_plane.ingest_bucket, Key="secret", Body=b"a row")
    for path in ("/", f"/{data_plane.ingest_bucket}", f"/{data_plane.ingest_bucket}/secret"):
        answer = curl(emulator.endpoint_url, path, None, key_of(emulator, kind), "s3")
        assert answer.status == 403
        assert "a row" not in answer.text
        assert "secret</" not in answer.text


def test_the_right_name_with_the_wrong_secret_is_not_enough(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    forged = Credentials(emulator.credentials.access_key, "guessed")
    answer = curl(emulator.endpoint_url, f"/{data_plane.ingest_bucket}", None, forged, "s3")
    assert (answer.status, "SignatureDoesNotMatch" in answer.text) == (403, True)


def signed(emulator: Emulator, data_plane: LocalDataPlane, path: str) -> dict[str, str]:
    request = AWSRequest("GET", emulator.endpoint_url + path)
    key = emulator.credentials
    SigV4Auth(Key(key.access_key, key.secret_key), "s3", REGION).add_auth(request)
    return dict(request.headers)


def answered(emulator: Emulator, path: str, headers: dict[str, str], method: str = "GET") -> tuple[int, dict[str, str]]:
    with closing(HTTPConnection("127.0.0.1", emulator.port, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


@pytest.mark.parametrize(
    "page", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "same-origin"}], ids=str
)
def test_a_web_page_is_refused_whatever_it_knows(
    emulator: Emulator, data_plane: LocalDataPlane, page: dict[str, str]
) -> None:
    headers = signed(emulator, data_plane, "/")
    status, said = answered(emulator, "/", headers)
    assert status == 200
    assert not [name for name in said if name.startswith("access-control-")]
    for path, method in (("/", "GET"), ("/_ministack/health", "GET"), ("/", "OPTIONS")):
        status, said = answered(emulator, path, {**headers, **page}, method)
        assert status == 403
        assert not [name for name in said if name.startswith("access-control-")]


def test_a_signature_is_for_its_own_request_alone(emulator: Emulator, data_plane: LocalDataPlane) -> None:
    headers = signed(emulator, data_plane, "/")
    assert answered(emulator, f"/{data_plane.ingest_bucket}", headers)[0] == 403
    assert answered(emulator, "/?x=1", headers)[0] == 403
    assert answered(emulator, "/", headers, "DELETE")[0] == 403
    assert answered(emulator, "/", {**headers, "X-Amz-Date": "20200101T000000Z"})[0] == 403


@pytest.mark.parametrize(
    "path", ["/_ministack/reset", "/_ministack/config", "/_localstack/init", "/_ministack/ses/messages"]
)
def test_the_emulators_own_pages_are_not_served(emulator: Emulator, data_plane: LocalDataPlane, path: str) -> None:
    assert answered(emulator, path, signed(emulator, data_plane, path))[0] == 403
    assert answered(emulator, path, {}, "POST")[0] == 403


@pytest.mark.parametrize("service", ["lambda", "iam", "sts", "ecs", "stepfunctions", "dynamodb", "ssm"])
def test_only_what_the_data_plane_needs_is_served(emulator: Emulator, service: str) -> None:
    assert service not in SERVICES
    key = emulator.credentials
    make: Any = boto3.client
    client = make(
        service, endpoint_url=emulator.endpoint_url, region_name=REGION,
        aws_access_key_id=key.access_key, aws_secret_access_key=key.secret_key,
    )  # fmt: skip
    ask = {
        "lambda": "list_functions",
        "iam": "list_users",
        "sts": "get_caller_identity",
        "ecs": "list_clusters",
        "stepfunctions": "list_state_machines",
        "dynamodb": "list_tables",
        "ssm": "describe_parameters",
    }
    with closing(client), pytest.raises(ClientError, match="served here"):
        getattr(client, ask[service])()


def test_a_template_makes_nothing_that_runs_code(emulator: Emulator) -> None:
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {**FUNCTION, "Code": {"ZipFile": "def handler(*_): pass"}},
    }
    call = {"Type": "Custom::Call", "Properties": {"ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}}
    for resources in ({"Function": function}, {"Function": function, "Call": call}):
        with pytest.raises(ClientError, match=r"(?i)unrecognized|not supported|unsupported"):
            emulator.cloudformation.create_stack(StackName="code", TemplateBody=json.dumps({"Resources": resources}))


def test_each_stack_has_credentials_of_its_own_that_only_its_user_can_read(emulator: Emulator) -> None:
    with Emulator.start() as other:
        assert other.credentials != emulator.credentials
        assert find(other.endpoint_url) == other.credentials
        assert find(emulator.endpoint_url) == emulator.credentials
        with pytest.raises(ClientError, match="does not belong to this stack"):
            boto3.client(
                "s3", endpoint_url=other.endpoint_url, region_name=REGION,
                aws_access_key_id=emulator.credentials.access_key,
                aws_secret_access_key=emulator.credentials.secret_key,
            ).list_buckets()  # fmt: skip
        assert emulator.credentials.secret_key not in repr(emulator.credentials)
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                assert other.credentials.secret_key.encode() not in entry.read_bytes()
            except OSError:
                continue
    assert find(other.endpoint_url) is None


def seen_by(totesys: Command, service: str) -> str:
    """The environment of a service's process."""
    for pid in totesys.processes():
        process = Path(f"/proc/{pid}")
        arguments = (process / "cmdline").read_text().split("\0")
        # Not its guard, whose argument is the whole call.
        if service in arguments:
            return (process / "environ").read_text(errors="replace")
    raise AssertionError(f"no {service} runs")


@pytest.mark.parametrize("command", ["run", *long("demo")])
async def test_neither_run_nor_demo_serves_a_neighbour(
    command: str, postgres: ReachablePostgres, tmp_path: Path
) -> None:
    arguments = ["demo"]
    if command == "run":
        arguments = ["run", *(await (await Companies.of(postgres, scale=0.01)).make()).arguments, "--every", "1h"]
    with Command.that_leaves_nothing(tmp_path) as totesys, totesys.started(*arguments) as process:
        endpoint = line_with(process, "  lake  ").split()[1]
        stacks_own = find(endpoint)
        assert stacks_own is not None
        for key, service in ((None, "lambda"), (Credentials("test", "test"), "lambda"), (stacks_own, "lambda")):
            made = curl(endpoint, "/2015-03-31/functions", json.dumps(FUNCTION), key, service)
            called = curl(endpoint, f"/2015-03-31/functions/{FUNCTION['FunctionName']}/invocations", "{}", key, service)
            assert (made.status, called.status) == (403, 403)
        assert "postgresql://" in seen_by(totesys, "totesys_load")
        assert "postgresql://" not in seen_by(totesys, "totesys_transform")
        for key in (None, Credentials("test", "test")):
            assert curl(endpoint, "/totesys-ingest", None, key, "s3").status == 403
        assert curl(endpoint, "/totesys-ingest", None, stacks_own, "s3").status == 200
        process.send_signal(signal.SIGTERM)
        process.communicate()
