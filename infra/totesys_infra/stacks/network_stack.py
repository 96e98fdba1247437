"""The network: a new or existing VPC, and its security groups."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from constructs import Construct

from totesys_infra.addresses import Tier
from totesys_infra.addresses import subnet as subnet_range
from totesys_infra.environment import Environment
from totesys_infra.names import SERVICES, Service
from totesys_infra.sizing import Egress, zones

HTTPS = ec2.Port.tcp(443)
# All services have the same paths, and may share a task, so each has its own port.
PORTS: dict[Service, int] = {"ingest": 8081, "transform": 8082, "load": 8083}
# The services that connect to the source.
READS_SOURCE: tuple[Service, ...] = ("ingest", "load")
# The AWS services that tasks use, besides S3, which has a free endpoint.
ENDPOINTS = {
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}
# The tasks' subnets, by egress.
_TASK_SUBNETS = {
    "public": ec2.SubnetType.PUBLIC,
    "nat": ec2.SubnetType.PRIVATE_WITH_EGRESS,
    "endpoints": ec2.SubnetType.PRIVATE_ISOLATED,
}


class NetworkStack(cdk.Stack):
    """A VPC, the subnets of tasks and database, and security groups of the services and their callers."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment) -> None:
        super().__init__(scope, construct_id, description=f"{environment.name}: its network", analytics_reporting=False)
        self._environment = environment
        self.vpc: ec2.IVpc
        # The subnets of the tasks, and of the database.
        self.tasks: ec2.SubnetSelection
        self.data: ec2.SubnetSelection
        if environment.network.vpc:
            self._use(environment.network.vpc, environment.network.subnets)
            # An existing VPC has its own way out; tasks get public addresses only if that is set.
            self.public_addresses = environment.network.egress == "public"
        else:
            self._make(environment.egress)
            self.public_addresses = environment.egress == "public"
        # For clients of the services to attach.
        self.callers = self._group("Callers", "Callers of the services over HTTP")
        self.services = {service: self._service_group(service) for service in SERVICES}
        if not environment.network.vpc:
            self._endpoints(environment.egress)
        self._admit_to_source()
        self._export()
        self._outputs()

    @property
    def task_subnets(self) -> list[str]:
        """The ids of the tasks' subnets."""
        network = self._environment.network
        return [*network.subnets] if network.vpc else self.vpc.select_subnets(subnet_group_name="Tasks").subnet_ids

    def _admit_to_source(self) -> None:
        """Have the source's security group admit the tasks that read it, and route to a peered VPC."""
        source = self._environment.source
        if source.security_group:
            for service in READS_SOURCE:
                ec2.CfnSecurityGroupIngress(
                    self,
                    f"{service.title()}ToSource",
                    group_id=source.security_group,
                    source_security_group_id=self.services[service].security_group_id,
                    ip_protocol="tcp",
                    from_port=source.port,
                    to_port=source.port,
                    description=f"{self._environment.name}: {service}",
                )
        if source.peering:
            for number, subnet in enumerate(self.vpc.select_subnets(subnet_group_name="Tasks").subnets, 1):
                ec2.CfnRoute(
                    self,
                    f"PeeringRoute{number}",
                    route_table_id=subnet.route_table.route_table_id,
                    destination_cidr_block=source.cidr,
                    vpc_peering_connection_id=source.peering,
                )

    def _outputs(self) -> None:
        found = {"CallersSecurityGroup": (self.callers.security_group_id, "For clients of the services' HTTP")}
        for service in SERVICES:
            admitted = "; admit it to the source" if service in READS_SOURCE else ""
            group = self.services[service].security_group_id
            found[f"{service.title()}SecurityGroup"] = (group, f"The tasks of {service}{admitted}")
        if not self._environment.network.vpc:
            found["VpcId"] = (self.vpc.vpc_id, f"The VPC of {self._environment.network.cidr}, for peering")
        if addresses := self._nat_addresses():
            found["EgressAddresses"] = (cdk.Fn.join(",", addresses), "Public addresses that the tasks connect from")
        found["TaskSubnets"] = (cdk.Fn.join(",", self.task_subnets), "The subnets of the tasks")
        found["TaskPublicAddress"] = (str(self.public_addresses).lower(), "Whether the tasks have public addresses")
        for name, (value, description) in found.items():
            cdk.CfnOutput(self, f"{name}Output", value=value, description=description).override_logical_id(name)

    def _nat_addresses(self) -> list[str]:
        if self._environment.network.vpc or self._environment.egress != "nat":
            return []
        subnets = self.vpc.select_subnets(subnet_group_name="Nat").subnets
        addresses = [subnet.node.try_find_child("EIP") for subnet in subnets]
        return [address.ref for address in addresses if isinstance(address, ec2.CfnEIP)]

    def _use(self, vpc: str, subnets: tuple[str, ...]) -> None:
        # The CDK requires a zone per subnet, and does not use it.
        zones = [cdk.Fn.select(number, cdk.Fn.get_azs()) for number in range(len(subnets))]
        self.vpc = ec2.Vpc.from_vpc_attributes(self, "Vpc", vpc_id=vpc, availability_zones=zones)
        chosen = [ec2.Subnet.from_subnet_id(self, f"Subnet{number}", one) for number, one in enumerate(subnets, 1)]
        self.tasks = self.data = ec2.SubnetSelection(subnets=chosen)

    def _make(self, egress: Egress) -> None:
        tiers: dict[Tier, ec2.SubnetType] = {"Tasks": _TASK_SUBNETS[egress], "Data": ec2.SubnetType.PRIVATE_ISOLATED}
        if egress == "nat":
            tiers["Nat"] = ec2.SubnetType.PUBLIC
        vpc = ec2.Vpc(
            self,
            "Vpc",
            ip_addresses=ec2.IpAddresses.cidr(self._environment.network.cidr),
            # By number, because zone names differ between accounts. Every preset has subnets in all of them, which cost
            # nothing, so that another preset neither moves nor removes one.
            availability_zones=[cdk.Fn.select(n, cdk.Fn.get_azs()) for n in range(zones(self._environment.region))],
            nat_gateways=self._environment.preset.nat_gateways if egress == "nat" else 0,
            subnet_configuration=[
                ec2.SubnetConfiguration(
                    name=tier,
                    subnet_type=subnet_type,
                    cidr_mask=28,
                    map_public_ip_on_launch=False if subnet_type is ec2.SubnetType.PUBLIC else None,
                )
                for tier, subnet_type in tiers.items()
            ],
            gateway_endpoints={"S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)},
            # It is unused, and restricting it would take a Lambda function.
            restrict_default_security_group=False,
        )
        self.vpc = vpc
        for tier in tiers:
            for zone, subnet in enumerate(vpc.select_subnets(subnet_group_name=tier).subnets):
                resource = subnet.node.default_child
                assert isinstance(resource, ec2.CfnSubnet)
                # The CDK would assign them in sequence, which moves them when one is added.
                resource.cidr_block = subnet_range(self._environment.network.cidr, tier, zone)
        self.tasks = ec2.SubnetSelection(subnet_group_name="Tasks")
        self.data = ec2.SubnetSelection(subnet_group_name="Data")
        self._flow_log(vpc)

    def _export(self) -> None:
        """Export everything that any later stack can import: CloudFormation refuses to remove an export in use."""
        groups = [self.callers, *self.services.values()]
        values = [group.security_group_id for group in groups]
        if not self._environment.network.vpc:
            values += [self.vpc.vpc_id, *self.vpc.select_subnets(subnet_group_name="Tasks").subnet_ids]
            values += self.vpc.select_subnets(subnet_group_name="Data").subnet_ids
        for value in values:
            self.export_value(value)

    def _flow_log(self, vpc: ec2.Vpc) -> None:
        group = logs.LogGroup(
            self,
            "FlowLogGroup",
            log_group_name=f"/{self._environment.name}/flow",
            retention=retention(self._environment),
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        role = iam.Role(self, "FlowLogRole", assumed_by=iam.ServicePrincipal("vpc-flow-logs.amazonaws.com"))
        ec2.FlowLog(
            self,
            "FlowLog",
            resource_type=ec2.FlowLogResourceType.from_vpc(vpc),
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(group, role),
        )

    def _group(self, name: str, description: str) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(self, name, vpc=self.vpc, description=description, allow_all_outbound=False)

    def _service_group(self, service: Service) -> ec2.SecurityGroup:
        group = self._group(service.title(), f"The tasks of {service}")
        group.add_egress_rule(ec2.Peer.any_ipv4(), HTTPS, "AWS")
        for port in sorted(self._database_ports(service)):
            group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(port), "A database at any address")
        if self._environment.http_access == "private-dns":
            group.connections.allow_from(self.callers, ec2.Port.tcp(PORTS[service]), "HTTP")
        return group

    def _database_ports(self, service: Service) -> set[int]:
        """The ports of existing databases. The warehouse stack opens the way to its own."""
        source, warehouse = self._environment.source, self._environment.warehouse
        ports = {source.port} if service in READS_SOURCE else set()
        return ports | {warehouse.port} if service == "load" and warehouse.secret else ports

    def _endpoints(self, egress: Egress) -> None:
        if egress != "endpoints":
            return
        group = self._group("Endpoints", "Endpoints of AWS services")
        for service, tasks in self.services.items():
            group.add_ingress_rule(tasks, HTTPS, f"From {service}")
        # An address per zone is billed. Tasks in a zone without one use another zone's.
        subnets = self.vpc.select_subnets(subnet_group_name="Tasks").subnets[: self._environment.preset.endpoint_zones]
        endpoints = dict(ENDPOINTS)
        if self._environment.parameters:
            endpoints["Parameters"] = ec2.InterfaceVpcEndpointAwsService.SSM
        if self._environment.exec:
            endpoints["Sessions"] = ec2.InterfaceVpcEndpointAwsService.SSM_MESSAGES
        for name, endpoint in endpoints.items():
            ec2.InterfaceVpcEndpoint(
                self,
                name,
                vpc=self.vpc,
                service=endpoint,
                subnets=ec2.SubnetSelection(subnets=subnets),
                security_groups=[group],
                # Only the rules above apply.
                open=False,
            )


def retention(environment: Environment) -> logs.RetentionDays:
    """The retention of the environment's logs."""
    return {
        7: logs.RetentionDays.ONE_WEEK,
        14: logs.RetentionDays.TWO_WEEKS,
        30: logs.RetentionDays.ONE_MONTH,
        60: logs.RetentionDays.TWO_MONTHS,
        90: logs.RetentionDays.THREE_MONTHS,
        180: logs.RetentionDays.SIX_MONTHS,
        365: logs.RetentionDays.ONE_YEAR,
    }[environment.log_days]
