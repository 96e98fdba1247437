"""The permissions of CloudFormation's role: to create, change and delete the resources of the stacks.

AWS publishes which actions the handler of each resource type calls. `tests/infra/test_handler_permissions.py` compares
these grants with those lists, in both directions.
"""

from totesys_infra.names import Names
from totesys_infra.policies import stored_data
from totesys_infra.policies.statement import READ_ONLY, UNNAMED, Arns, Conditions, PolicyStatement, equal, verbs

# The services that assume roles of the stacks.
RUN_AS = tuple(f"{service}.amazonaws.com" for service in ("codebuild", "ecs-tasks", "scheduler", "vpc-flow-logs"))

GLOBAL = "Route 53 has no region and chooses the ids of its zones."


def execution(names: Names) -> dict[str, tuple[PolicyStatement, ...]]:
    """The permissions of CloudFormation's role, by policy."""
    of, region = Arns(names), equal("aws:RequestedRegion", names.region)
    return {
        "Data": (*stored_data.lake_and_catalog(of), *stored_data.database(of, region)),
        "Messages": (*stored_data.messages(of, region), *stored_data.keys_and_secrets(of, region)),
        "Network": _network(region),
        "Running": _running(of, region),
        "Watching": _watching(of, region),
        "Roles": _roles(of),
    }


def _network(region: Conditions) -> tuple[PolicyStatement, ...]:
    return (
        PolicyStatement(
            "Network",
            verbs(
                "ec2",
                "AllocateAddress AssociateAddress AssociateRouteTable AttachInternetGateway AuthorizeSecurityGroup* "
                "CreateFlowLogs CreateInternetGateway CreateNatGateway CreateRoute CreateRouteTable "
                "CreateSecurityGroup CreateSubnet CreateTags CreateVpc CreateVpcEndpoint DeleteFlowLogs "
                "DeleteInternetGateway DeleteNatGateway DeleteRoute DeleteRouteTable DeleteSecurityGroup "
                "DeleteSubnet DeleteTags DeleteVpc "
                "DeleteVpcEndpoints Describe* DetachInternetGateway DisassociateAddress DisassociateRouteTable "
                "GetSecurityGroupsForVpc ModifySubnetAttribute ModifyVpcAttribute ModifyVpcEndpoint ReleaseAddress "
                "ReplaceRoute ReplaceRouteTableAssociation RevokeSecurityGroup* UpdateSecurityGroupRuleDescriptions*",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement("FlowLogTags", ("autoscaling:DescribeTags",), ("*",), READ_ONLY, region),
        PolicyStatement(
            "Balancer",
            verbs(
                "elasticloadbalancing",
                "AddTags CreateListener CreateLoadBalancer CreateTargetGroup DeleteListener DeleteLoadBalancer "
                "DeleteTargetGroup Describe* ModifyListener* ModifyLoadBalancerAttributes ModifyTargetGroup* "
                "RemoveTags SetIpAddressType SetSecurityGroups SetSubnets",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement(
            "PrivateNames",
            verbs(
                "servicediscovery",
                "CreatePrivateDnsNamespace CreateService DeleteNamespace DeleteService DeleteServiceAttributes Get* "
                "ListServices ListTagsForResource TagResource UntagResource UpdatePrivateDnsNamespace UpdateService "
                "UpdateServiceAttributes",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement(
            "PrivateZone",
            verbs(
                "route53",
                "AssociateVPCWithHostedZone ChangeResourceRecordSets CreateHostedZone DeleteHostedZone GetChange "
                "GetHostedZone ListHostedZonesByName UpdateHostedZoneComment",
            ),
            ("*",),
            GLOBAL,
        ),
    )


def _running(of: Arns, region: Conditions) -> tuple[PolicyStatement, ...]:
    names = of.names
    return (
        PolicyStatement(
            "Repositories",
            verbs(
                "ecr",
                "*LifecyclePolicy *RepositoryPolicy CreateRepository DeleteRepository DescribeRepositories "
                "ListTagsForResource PutImageScanningConfiguration PutImageTagMutability TagResource UntagResource",
            ),
            of.repositories,
            "The policies of these repositories, not their images.",
        ),
        PolicyStatement(
            "Project", verbs("codebuild", "BatchGetProjects CreateProject DeleteProject UpdateProject"), (of.project,)
        ),
        PolicyStatement(
            "Cluster",
            verbs(
                "ecs",
                "*Cluster *Service DescribeClusters DescribeServiceDeployments DescribeServices ListServiceDeployments "
                "ListTagsForResource PutClusterCapacityProviders StopServiceDeployment TagResource UntagResource "
                "UpdateClusterSettings",
            ),
            (
                of.arn("ecs", f"cluster/{names.cluster}"),
                of.arn("ecs", f"service/{names.cluster}/*"),
                of.arn("ecs", f"service-deployment/{names.cluster}/*"),
                of.arn("ecs", f"task-definition/{names.name}*"),
            ),
        ),
        PolicyStatement(
            "Tasks",
            verbs(
                "ecs",
                "DeregisterTaskDefinition DescribeTaskDefinition ListClusters ListServices ListTaskDefinitions "
                "RegisterTaskDefinition",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement(
            "EachTick",
            verbs("scheduler", "CreateSchedule DeleteSchedule GetSchedule UpdateSchedule"),
            (of.arn("scheduler", f"schedule/default/{names.name}-*"),),
        ),
        PolicyStatement(
            "Scaling",
            verbs(
                "application-autoscaling",
                "DeleteScalingPolicy DeleteScheduledAction DeregisterScalableTarget Describe* PutScalingPolicy "
                "PutScheduledAction RegisterScalableTarget",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
    )


def _watching(of: Arns, region: Conditions) -> tuple[PolicyStatement, ...]:
    names = of.names
    return (
        PolicyStatement(
            "LogGroups",
            verbs(
                "logs",
                "*LogGroup *MetricFilter *RetentionPolicy *DataProtectionPolicy *KmsKey DescribeMetricFilters "
                "ListTagsForResource PutBearerTokenAuthentication PutLogGroupDeletionProtection TagResource "
                "UntagResource",
            ),
            (
                of.arn("logs", f"log-group:/{names.name}/*"),
                of.arn("logs", f"log-group:/aws/rds/instance/{names.warehouse_instance}/*"),
            ),
        ),
        PolicyStatement(
            "LogPolicies",
            verbs(
                "logs",
                "*IndexPolicy *LogDelivery *ResourcePolicy DescribeIndexPolicies DescribeLogGroups "
                "DescribeResourcePolicies",
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement(
            "Alarms",
            verbs(
                "cloudwatch",
                "DeleteAlarms DeleteDashboards GetDashboard ListTagsForResource PutDashboard PutMetricAlarm "
                "TagResource UntagResource",
            ),
            (
                of.arn("cloudwatch", f"alarm:{names.name}-*"),
                of.arn("cloudwatch", f"alarm:TargetTracking-service/{names.cluster}/*"),
                f"arn:{names.partition}:cloudwatch::{names.account}:dashboard/{names.name}",
            ),
            "Alarms of this environment, and those that autoscaling creates.",
        ),
        PolicyStatement(
            "Metrics",
            verbs("cloudwatch", "DescribeAlarms GetMetricData ListDashboards"),
            ("*",),
            READ_ONLY,
            region,
        ),
        PolicyStatement(
            "Budget",
            verbs("budgets", "ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget"),
            (f"arn:{names.partition}:budgets::{names.account}:budget/{names.name}-month",),
        ),
    )


def _roles(of: Arns) -> tuple[PolicyStatement, ...]:
    names = of.names
    service_roles = f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/*"
    return (
        PolicyStatement(
            "BoundedRoles",
            ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            (of.role("*"),),
            conditions=equal("iam:PermissionsBoundary", names.boundary_arn),
        ),
        PolicyStatement(
            "Roles",
            verbs(
                "iam",
                "DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
                "ListRolePolicies TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
            ),
            (of.role("*"),),
        ),
        PolicyStatement("ListRoles", ("iam:ListRoles",), ("*",), READ_ONLY),
        PolicyStatement(
            "RunAs",
            ("iam:PassRole",),
            (of.role("*"),),
            conditions=equal("iam:PassedToService", *RUN_AS),
        ),
        PolicyStatement(
            "ServiceRoles",
            ("iam:CreateServiceLinkedRole", "iam:GetRole"),
            (service_roles,),
            "AWS names the roles of its services and decides what they may do.",
        ),
        PolicyStatement(
            "NotItself",
            ("iam:*",),
            (
                of.role("deploy"),
                names.execution_role_arn,
                names.boundary_arn,
                f"arn:{names.partition}:iam::{names.account}:policy/{names.name}-access*",
            ),
            "A denial is not narrowed.",
            allow=False,
        ),
    )
