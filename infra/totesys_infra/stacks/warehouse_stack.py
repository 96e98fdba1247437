"""The warehouse: an RDS instance of Postgres, unless the environment names an existing one."""

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.stacks.acknowledged import acknowledge
from totesys_infra.stacks.network_stack import NetworkStack, retention

# Without a minor version, RDS uses its default. It refuses to create an instance of an outdated one.
ENGINE = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("17", "17"))
DATABASE = "warehouse"
USER = "totesys"
PORT = 5432
EXPORTS = ("postgresql", "upgrade")
# With one or two gigabytes of memory, Performance Insights would use too much of it.
_SMALL = ("micro", "small")
# The factor by which RDS may enlarge the disk.
_GROWTH = 10


class WarehouseStack(cdk.Stack):
    """A Postgres that load and the named readers can reach. RDS rotates its password in Secrets Manager."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment, network: NetworkStack) -> None:
        super().__init__(
            scope, construct_id, description=f"{environment.name}: its warehouse", analytics_reporting=False
        )
        logged = self._log_groups(environment)
        self.instance = self._instance(environment, network)
        self.instance.node.add_dependency(*logged)
        self.instance.connections.allow_from(network.services["load"], ec2.Port.tcp(PORT), "Load")
        for reader in environment.warehouse.readers:
            self.instance.connections.allow_from(self._reader(reader), ec2.Port.tcp(PORT), "Reader")
        acknowledge(self.instance, "RDS11", "Only load and readers reach it; an unusual port would add nothing.")
        if not environment.preset.warehouse_multi_az:
            acknowledge(
                self.instance,
                "RDS3",
                "A cheaper preset: if its zone fails, load waits and then continues from the lake.",
            )
        for name, value, description in (
            ("Endpoint", self.instance.db_instance_endpoint_address, "The warehouse's host"),
            ("Secret", self.secret_arn, "The secret with its user and password"),
        ):
            cdk.CfnOutput(self, f"{name}Output", value=value, description=description).override_logical_id(name)

    @property
    def secret_arn(self) -> str:
        """The ARN of the secret with user and password."""
        assert self.instance.secret is not None
        return self.instance.secret.secret_arn

    @property
    def dsn(self) -> str:
        """Its DSN, with the ARN of the secret instead of a password."""
        host, port = self.instance.db_instance_endpoint_address, self.instance.db_instance_endpoint_port
        return f"postgresql://{host}:{port}/{DATABASE}?sslmode=verify-full&secret={self.secret_arn}"

    def _reader(self, reader: str) -> ec2.IConnectable:
        if reader.startswith("sg-"):
            return ec2.SecurityGroup.from_security_group_id(self, reader, reader, allow_all_outbound=False)
        return ec2.Peer.ipv4(reader)

    def _log_groups(self, environment: Environment) -> list[logs.LogGroup]:
        # Created before RDS does, which would set no retention.
        return [
            logs.LogGroup(
                self,
                f"{export.title()}Log",
                log_group_name=f"/aws/rds/instance/{environment.names.warehouse_instance}/{export}",
                retention=retention(environment),
                removal_policy=cdk.RemovalPolicy.DESTROY,
            )
            for export in EXPORTS
        ]

    def _instance(self, environment: Environment, network: NetworkStack) -> rds.DatabaseInstance:
        sizing = environment.preset
        insights = not sizing.warehouse_class.endswith(_SMALL)
        return rds.DatabaseInstance(
            self,
            "Instance",
            instance_identifier=environment.names.warehouse_instance,
            engine=ENGINE,
            instance_type=ec2.InstanceType(sizing.warehouse_class),
            database_name=DATABASE,
            port=PORT,
            credentials=rds.Credentials.from_username(USER),
            manage_master_user_password=True,
            parameter_group=rds.ParameterGroup(
                self, "Parameters", engine=ENGINE, description="TLS only", parameters={"rds.force_ssl": "1"}
            ),
            vpc=network.vpc,
            vpc_subnets=network.data,
            security_groups=[
                ec2.SecurityGroup(
                    self, "Database", vpc=network.vpc, description="The warehouse", allow_all_outbound=False
                )
            ],
            publicly_accessible=False,
            storage_type=rds.StorageType.GP3,
            allocated_storage=sizing.warehouse_gib,
            max_allocated_storage=sizing.warehouse_gib * _GROWTH,
            storage_encrypted=True,
            multi_az=sizing.warehouse_multi_az,
            backup_retention=cdk.Duration.days(sizing.backup_days),
            copy_tags_to_snapshot=True,
            delete_automated_backups=False,
            deletion_protection=True,
            removal_policy=cdk.RemovalPolicy.SNAPSHOT,
            auto_minor_version_upgrade=True,
            ca_certificate=rds.CaCertificate.RDS_CA_RSA2048_G1,
            cloudwatch_logs_exports=list(EXPORTS),
            enable_performance_insights=insights,
            performance_insight_retention=rds.PerformanceInsightRetention.DEFAULT if insights else None,
        )
