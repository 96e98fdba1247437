"""HTTP access to the services inside the VPC, for clients with the callers' security group."""

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_servicediscovery as discovery
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.names import PIPELINE, Service
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.network_stack import PORTS, NetworkStack

Services = Mapping[Service, ecs.FargateService]


def private_name(environment: Environment, service: Service) -> str:
    """A service's private DNS name. Services in one task share its name, and differ in their ports."""
    return f"{PIPELINE if environment.preset.frugal else service}.{_zone(environment)}"


def _zone(environment: Environment) -> str:
    return f"{environment.name}.internal"


def private_dns(scope: Construct, environment: Environment, network: NetworkStack, services: Services) -> None:
    """Private DNS names in the VPC: `http://load.{name}.internal:8083`."""
    namespace = discovery.PrivateDnsNamespace(
        scope, "Dns", name=_zone(environment), vpc=network.vpc, description="The services' addresses"
    )
    for service in dict.fromkeys(services.values()):
        service.enable_cloud_map(
            cloud_map_namespace=namespace,
            name=service.node.id.lower(),
            dns_record_type=discovery.DnsRecordType.A,
            dns_ttl=cdk.Duration.seconds(10),
        )


class InternalBalancer(Construct):
    """An internal load balancer with TLS and a port per service. Its host is an output of the stack."""

    def __init__(
        self, scope: Construct, construct_id: str, environment: Environment, network: NetworkStack, services: Services
    ) -> None:
        super().__init__(scope, construct_id)
        certificate = environment.certificate
        assert certificate is not None
        balancer = elb.ApplicationLoadBalancer(
            self,
            "Balancer",
            load_balancer_name=environment.name,
            vpc=network.vpc,
            vpc_subnets=network.tasks,
            internet_facing=False,
            security_group=self._group(network),
            drop_invalid_header_fields=True,
        )
        acknowledge(balancer, "ELB2", "It is internal and for operators; the services log their triggers.")
        hosts = ",".join([balancer.load_balancer_dns_name, *environment.hosts])
        for name, service in services.items():
            container = service.task_definition.find_container(name)
            assert container is not None
            container.add_environment("TOTESYS_ALLOWED_HOSTS", hosts)
            listener = balancer.add_listener(
                name.title(),
                port=PORTS[name],
                protocol=elb.ApplicationProtocol.HTTPS,
                certificates=[elb.ListenerCertificate.from_arn(certificate)],
                ssl_policy=elb.SslPolicy.RECOMMENDED_TLS,
                open=False,
            )
            listener.add_action("Forward", action=elb.ListenerAction.forward([self._target(name, network, service)]))
        cdk.CfnOutput(
            cdk.Stack.of(self), "HttpOutput", value=balancer.load_balancer_dns_name, description="The balancer's host"
        ).override_logical_id("Http")

    def _group(self, network: NetworkStack) -> ec2.SecurityGroup:
        group = ec2.SecurityGroup(
            self, "Group", vpc=network.vpc, description="The internal load balancer", allow_all_outbound=False
        )
        for service, port in PORTS.items():
            group.add_ingress_rule(network.callers, ec2.Port.tcp(port), f"HTTP of {service}")
        return group

    def _target(self, name: Service, network: NetworkStack, service: ecs.FargateService) -> elb.ApplicationTargetGroup:
        group = elb.ApplicationTargetGroup(
            self,
            f"{name.title()}Target",
            vpc=network.vpc,
            port=PORTS[name],
            protocol=elb.ApplicationProtocol.HTTP,
            target_type=elb.TargetType.IP,
            deregistration_delay=cdk.Duration.seconds(10),
            health_check=elb.HealthCheck(path="/health", interval=cdk.Duration.seconds(15)),
        )
        group.add_target(service.load_balancer_target(container_name=name, container_port=PORTS[name]))
        return group
