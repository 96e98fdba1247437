"""The network: its routes, and which security groups are admitted."""

import re
from typing import Any

import pytest

from tests.infra.environments import (
    EGRESSES,
    KEY,
    OWN_VPC,
    PEERED,
    SECRET,
    environment,
    own_everything,
    own_vpc,
    templates_of,
)
from tests.infra.test_data_plane import of_type
from totesys_infra.environment import Environment

Template = dict[str, Any]


def network(of: Environment) -> Template:
    return templates_of(of)["shop-network"]


@pytest.fixture(scope="module")
def networks() -> dict[str, Template]:
    """The network with each egress; `endpoints` with a load balancer."""
    return {
        egress: network(
            environment("standard", network={"egress": egress}, http="alb" if egress == "endpoints" else "private-dns")
        )
        for egress in EGRESSES
    }


def properties(template: Template, kind: str) -> list[dict[str, Any]]:
    return [one["Properties"] for one in of_type(template, kind).values()]


def ingress(template: Template) -> list[dict[str, Any]]:
    """All ingress rules."""
    inline = [
        rule
        for group in properties(template, "AWS::EC2::SecurityGroup")
        for rule in group.get("SecurityGroupIngress", [])
    ]
    return inline + properties(template, "AWS::EC2::SecurityGroupIngress")


def group(template: Template, description: str) -> dict[str, Any]:
    """The reference to the security group with a description."""
    (key,) = (
        key
        for key, one in of_type(template, "AWS::EC2::SecurityGroup").items()
        if one["Properties"]["GroupDescription"] == description
    )
    return {"Fn::GetAtt": [key, "GroupId"]}


def imported(reference: dict[str, Any]) -> str:
    """The logical id of a security group in this stack, or without its hash in the network's."""
    if "Fn::GetAtt" in reference:
        return str(reference["Fn::GetAtt"][0])
    found = re.search(r"GetAtt([A-Za-z]+?)[0-9A-F]{8}GroupId", reference["Fn::ImportValue"])
    assert found
    return found[1]


@pytest.mark.parametrize("egress", EGRESSES)
def test_no_rule_admits_an_address(networks: dict[str, Template], egress: str) -> None:
    rules = ingress(networks[egress])
    assert rules
    for rule in rules:
        assert "SourceSecurityGroupId" in rule
        assert not {"CidrIp", "CidrIpv6", "SourcePrefixListId"} & rule.keys()


@pytest.mark.parametrize("egress", EGRESSES)
def test_every_vpc_has_a_flow_log_and_the_free_endpoint_of_s3(networks: dict[str, Template], egress: str) -> None:
    (log,) = properties(networks[egress], "AWS::EC2::FlowLog")
    assert (log["ResourceType"], log["TrafficType"]) == ("VPC", "ALL")
    (kept,) = properties(networks[egress], "AWS::Logs::LogGroup")
    assert (kept["LogGroupName"], kept["RetentionInDays"]) == ("/shop/flow", 30)
    gateways = [e for e in properties(networks[egress], "AWS::EC2::VPCEndpoint") if e["VpcEndpointType"] == "Gateway"]
    assert len(gateways) == 1
    assert gateways[0]["ServiceName"]["Fn::Join"][1][-1] == ".s3"


def test_public_egress_has_no_nat_no_endpoints_and_no_automatic_addresses(networks: dict[str, Template]) -> None:
    template = networks["public"]
    assert not of_type(template, "AWS::EC2::NatGateway")
    assert len(of_type(template, "AWS::EC2::VPCEndpoint")) == 1
    assert not any(subnet["MapPublicIpOnLaunch"] for subnet in properties(template, "AWS::EC2::Subnet"))


def test_endpoints_are_those_that_tasks_need_and_only_tasks_reach_them(networks: dict[str, Template]) -> None:
    template = networks["endpoints"]
    assert not of_type(template, "AWS::EC2::NatGateway")
    assert not of_type(template, "AWS::EC2::InternetGateway")
    interfaces = [e for e in properties(template, "AWS::EC2::VPCEndpoint") if e["VpcEndpointType"] == "Interface"]
    assert {endpoint["ServiceName"]["Fn::Join"][1][-1] for endpoint in interfaces} == {
        ".sqs",
        ".secretsmanager",
        ".ecr.api",
        ".ecr.dkr",
        ".logs",
    }
    endpoints = group(template, "Endpoints of AWS services")
    assert all(endpoint["SecurityGroupIds"] == [endpoints] for endpoint in interfaces)
    assert all(endpoint["PrivateDnsEnabled"] for endpoint in interfaces)
    let_in = [rule for rule in ingress(template) if rule["GroupId"] == endpoints]
    assert [rule["SourceSecurityGroupId"] for rule in let_in] == [
        group(template, f"The tasks of {service}") for service in ("ingest", "transform", "load")
    ]
    assert {(rule["FromPort"], rule["ToPort"]) for rule in let_in} == {(443, 443)}


def test_nat_is_one_gateway_and_in_high_availability_one_a_zone(networks: dict[str, Template]) -> None:
    assert len(of_type(networks["nat"], "AWS::EC2::NatGateway")) == 1
    template = network(environment("high-availability"))
    assert len(of_type(template, "AWS::EC2::NatGateway")) == 3
    zones = {str(subnet["AvailabilityZone"]) for subnet in properties(template, "AWS::EC2::Subnet")}
    assert len(zones) == 3


def test_http_admits_callers_or_with_a_load_balancer_only_that(networks: dict[str, Template]) -> None:
    callers = group(networks["nat"], "Callers of the services over HTTP")
    let_in = [(rule["SourceSecurityGroupId"], rule["FromPort"], rule["ToPort"]) for rule in ingress(networks["nat"])]
    assert let_in == [(callers, port, port) for port in (8081, 8082, 8083)]
    alb = networks["endpoints"]
    tasks = [group(alb, f"The tasks of {service}") for service in ("ingest", "transform", "load")]
    assert not [rule for rule in ingress(alb) if rule["GroupId"] in tasks]
    template = templates_of(environment("standard", network={"egress": "endpoints"}, http="alb"))["shop-services"]
    balancer = group(template, "The internal load balancer")
    admitted = {
        (imported(rule["GroupId"]), imported(rule["SourceSecurityGroupId"]), rule["FromPort"])
        for rule in ingress(template)
    }
    own = balancer["Fn::GetAtt"][0]
    assert admitted == {
        *((service, own, port) for service, port in (("Ingest", 8081), ("Transform", 8082), ("Load", 8083))),
        *((own, "Callers", port) for port in (8081, 8082, 8083)),
    }


def test_an_existing_vpc_is_used_by_its_ids_and_not_changed() -> None:
    templates = templates_of(own_everything())
    kinds = {one["Type"] for one in templates["shop-network"]["Resources"].values()}
    assert kinds == {"AWS::EC2::SecurityGroup"}
    assert all(g["VpcId"] == OWN_VPC["vpc"] for g in properties(templates["shop-network"], "AWS::EC2::SecurityGroup"))
    for service in properties(templates["shop-services"], "AWS::ECS::Service"):
        where = service["NetworkConfiguration"]["AwsvpcConfiguration"]
        assert (where["Subnets"], where["AssignPublicIp"]) == (OWN_VPC["subnets"], "DISABLED")


def test_the_security_group_of_the_source_admits_only_the_tasks_that_read_it() -> None:
    source = {"secret": f"{SECRET}:totesys-source-AbCdEf", "port": 6432, "security_group": "sg-0fedcba9876543210"}
    template = network(own_vpc(source=source))
    rules = [rule for rule in ingress(template) if rule["GroupId"] == source["security_group"]]
    assert [(rule["SourceSecurityGroupId"], rule["FromPort"], rule["ToPort"]) for rule in rules] == [
        (group(template, f"The tasks of {service}"), 6432, 6432) for service in ("ingest", "load")
    ]


def test_a_new_vpc_outputs_its_addresses_and_routes_to_a_peered_source(networks: dict[str, Template]) -> None:
    for egress, template in networks.items():
        told = {key: one["Value"] for key, one in template["Outputs"].items() if "Export" not in one}
        groups = {
            f"{one.title()}SecurityGroup": group(template, f"The tasks of {one}")
            for one in ("ingest", "transform", "load")
        }
        assert told.items() >= groups.items()
        assert "VpcId" in told
        assert ("EgressAddresses" in told) == (egress == "nat")
    (address,) = of_type(networks["nat"], "AWS::EC2::EIP")
    assert networks["nat"]["Outputs"]["EgressAddresses"]["Value"] == {"Ref": address}
    three = network(environment("high-availability"))["Outputs"]["EgressAddresses"]["Value"]["Fn::Join"][1]
    assert len(three) == 3
    peered = [r for r in properties(networks["endpoints"], "AWS::EC2::Route") if "VpcPeeringConnectionId" in r]
    assert {(r["DestinationCidrBlock"], r["VpcPeeringConnectionId"]) for r in peered} == {
        (PEERED["cidr"], PEERED["peering"])
    }
    assert len({str(r["RouteTableId"]) for r in peered}) == 3


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (
            {"network": {"egress": "endpoints"}},
            'egress "endpoints" leaves the tasks in a new VPC no route to the source',
        ),
        ({"source": {"security_group": "sg-0123"}}, "only from the same VPC or a peered one"),
        ({"source": {"peering": "pcx-0123"}}, "source.peering and source.cidr go together"),
        ({"source": {"cidr": "10.7.0.0/16"}}, "source.peering and source.cidr go together"),
        ({"source": {"peering": "pcx-0123", "cidr": "10.42.8.0/24"}}, "overlaps the new VPC's 10.42.0.0/16"),
        ({"source": {"peering": "pcx-0123", "cidr": "ours"}}, "cidr ours is not a range of addresses"),
        ({"source": {"peering": "pcx-0123", "cidr": "10.7.0.0/16"}, "network": OWN_VPC}, "an existing one has its own"),
        ({"warehouse": {"secret_key": KEY}}, "warehouse.secret_key is the key of warehouse.secret"),
        ({"warehouse": {"login": f"{SECRET}:rds-AbCdEf"}}, "warehouse.login belongs to the DSN in warehouse.secret"),
        ({"source": {"login_key": KEY}}, "source.login_key is the key of source.login, which is not set"),
        ({"source": {"secret_key": KEY.replace("eu-west-2", "us-east-1")}}, "key of the source's secret has to be in"),
    ],
)
def test_a_source_that_the_tasks_could_not_reach_or_read_is_refused(wrong: dict[str, Any], said: str) -> None:
    source = {"secret": f"{SECRET}:totesys-source-AbCdEf", **wrong.get("source", {})}
    with pytest.raises(ValueError, match=re.escape(said)):
        environment(**{**wrong, "source": source})


@pytest.mark.parametrize("egress", ["nat", "public", None])
def test_a_vpc_with_a_way_out_reaches_a_public_source(egress: str | None) -> None:
    assert environment(network={"egress": egress}).source.peering is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"vpc": OWN_VPC["vpc"]}, "at least two subnets"),
        ({"subnets": OWN_VPC["subnets"]}, "set vpc"),
    ],
)
def test_an_incomplete_vpc_is_refused(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        environment(network=wrong)


def test_the_warehouse_uses_the_subnets_of_an_existing_vpc() -> None:
    (subnets,) = properties(templates_of(own_vpc())["shop-warehouse"], "AWS::RDS::DBSubnetGroup")
    assert subnets["SubnetIds"] == OWN_VPC["subnets"]
