"""What CloudFormation may do for the stacks: create, change and delete what they are made of.

AWS publishes which actions the handler of each resource type calls. `tests/infra/test_handler_permissions.py` compares
these grants with those lists, in both directions.
"""

from totesys_infra.grants.grant import Arns, Conditions, Grant, equal, verbs
from totesys_infra.names import Names

# The services that roles of the stacks are made for.
RUN_AS = tuple(f"{service}.amazonaws.com" for service in ("codebuild", "ecs-tasks", "vpc-flow-logs"))

UNNAMED = "These actions take no resource, or one whose id AWS chooses; limited to this region."
READ_ONLY = "Lists and describes; these actions take no resource."
GLOBAL = "Route 53 has no region and chooses the ids of its zones."


def execution(names: Names) -> dict[str, tuple[Grant, ...]]:
    """What CloudFormation may do for the stacks, by policy."""
    of, region = Arns(names), equal("aws:RequestedRegion", names.region)
    return {
        "Data": (*_data(of), *_database(of, region)),
        "Messages": (*_messages(of, region), *_keys_and_secrets(of, region)),
        "Network": _network(region),
        "Running": _running(of, region),
        "Watching": _watching(of, region),
        "Roles": _roles(of),
    }


def _data(of: Arns) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Buckets",
            verbs(
                "s3",
                "CreateBucket DeleteBucket* Get*Configuration GetBucket* ListBucket ListTagsForResource "
                "Put*Configuration PutBucket* TagResource UntagResource",
            ),
            tuple(names.bucket_arn(purpose) for purpose in ("ingest", "processed", "code", "queries")),
            "The settings of these buckets, not their objects.",
        ),
        Grant(
            "QueryResults",
            verbs("s3", "AbortMultipartUpload GetObject ListBucketMultipartUploads ListMultipartUploadParts PutObject"),
            (names.bucket_arn("queries"), names.bucket_arn("queries", "*")),
            "Athena tries the result location of its workgroup.",
        ),
        Grant(
            "Templates",
            ("s3:GetObject",),
            (names.bucket_arn("code", "templates/*"),),
            "Keys are named by their contents.",
        ),
        Grant("ListBuckets", ("s3:ListAllMyBuckets",), ("*",), READ_ONLY),
        Grant(
            "Catalog",
            verbs("glue", "*Database *Databases *Table"),
            (
                of.arn("glue", "catalog"),
                of.arn("glue", f"database/{names.glue_database}"),
                of.arn("glue", f"table/{names.glue_database}/*"),
                of.arn("glue", f"userDefinedFunction/{names.glue_database}/*"),
            ),
            "The catalog's database and what is in it.",
        ),
        Grant("LakeFormation", verbs("lakeformation", "Describe* ListResources"), ("*",), READ_ONLY),
        Grant(
            "Workgroup",
            verbs("athena", "*WorkGroup ListTagsForResource TagResource UntagResource"),
            (of.arn("athena", f"workgroup/{names.name}"),),
            "The actions of one workgroup.",
        ),
        Grant("ListWorkgroups", ("athena:ListWorkGroups",), ("*",), READ_ONLY),
    )


def _database(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    kinds = ("db", "subgrp", "pg", "snapshot")
    own = tuple(of.arn("rds", f"{kind}:{of.names.name}*") for kind in kinds)
    return (
        Grant(
            "Database",
            verbs(
                "rds",
                "AddTagsToResource CreateDBInstance CreateDBParameterGroup CreateDBSnapshot CreateDBSubnetGroup "
                "DeleteDBInstance DeleteDBParameterGroup DeleteDBSubnetGroup ModifyDBInstance ModifyDBParameterGroup "
                "ModifyDBSubnetGroup RebootDBInstance RemoveTagsFromResource ResetDBParameterGroup",
            ),
            (*own, of.arn("rds", "og:default*")),
            "Names begin with the environment's; an instance is always in a default option group.",
        ),
        Grant("DescribeDatabases", ("rds:Describe*", "rds:ListTagsForResource"), ("*",), READ_ONLY, region),
    )


def _messages(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Queues",
            verbs("sqs", "CreateQueue DeleteQueue GetQueue* ListQueueTags SetQueueAttributes TagQueue UntagQueue"),
            (names.queue_arn(f"{names.name}-*"),),
        ),
        Grant(
            "Topic",
            verbs(
                "sns",
                "CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes ListSubscriptionsByTopic "
                "ListTagsForResource PutDataProtectionPolicy SetTopicAttributes Subscribe TagResource UntagResource",
            ),
            (names.alerts_arn,),
        ),
        Grant(
            "Subscriptions",
            verbs(
                "sns", "GetSubscriptionAttributes ListSubscriptions ListTopics SetSubscriptionAttributes Unsubscribe"
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        Grant(
            "Rules",
            verbs(
                "events",
                "DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets RemoveTargets "
                "TagResource UntagResource",
            ),
            (of.arn("events", f"rule/{names.name}-*"),),
        ),
        Grant("ListMessages", ("events:ListRules", "sqs:ListQueues"), ("*",), READ_ONLY, region),
    )


def _keys_and_secrets(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    token = of.arn("secretsmanager", f"secret:{names.trigger_token}-*")
    return (
        Grant("CreateKey", ("kms:CreateKey", "kms:ListAliases", "kms:ListKeys"), ("*",), UNNAMED, region),
        Grant(
            "Keys",
            verbs(
                "kms",
                "CreateGrant DescribeKey DisableKeyRotation EnableKeyRotation GetKey* ListResourceTags PutKeyPolicy "
                "RetireGrant ScheduleKeyDeletion TagResource UntagResource UpdateKeyDescription",
            ),
            (of.arn("kms", "key/*"),),
            "AWS chooses the ids of keys.",
        ),
        Grant(
            "TriggerToken",
            verbs(
                "secretsmanager",
                "CreateSecret DeleteSecret DescribeSecret GetSecretValue TagResource UntagResource UpdateSecret",
            ),
            (token,),
            "Secrets Manager appends six characters to the name.",
        ),
        Grant(
            "MasterPassword",
            verbs("secretsmanager", "CreateSecret DescribeSecret TagResource"),
            (of.arn("secretsmanager", "secret:rds!*"),),
            "RDS names the secret of the master password, and keeps it.",
        ),
        Grant(
            "Passwords",
            ("secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"),
            ("*",),
            UNNAMED,
            region,
        ),
    )


def _network(region: Conditions) -> tuple[Grant, ...]:
    return (
        Grant(
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
        Grant("FlowLogTags", ("autoscaling:DescribeTags",), ("*",), READ_ONLY, region),
        Grant(
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
        Grant(
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
        Grant(
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


def _running(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
            "Repositories",
            verbs(
                "ecr",
                "*LifecyclePolicy *RepositoryPolicy CreateRepository DeleteRepository DescribeRepositories "
                "ListTagsForResource PutImageScanningConfiguration PutImageTagMutability TagResource UntagResource",
            ),
            of.repositories,
            "The policies of these repositories, not their images.",
        ),
        Grant(
            "Project", verbs("codebuild", "BatchGetProjects CreateProject DeleteProject UpdateProject"), (of.project,)
        ),
        Grant(
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
        Grant(
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
        Grant(
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


def _watching(of: Arns, region: Conditions) -> tuple[Grant, ...]:
    names = of.names
    return (
        Grant(
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
        Grant(
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
        Grant(
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
            "Alarms of this environment, and those that autoscaling makes of its policies.",
        ),
        Grant(
            "Metrics",
            verbs("cloudwatch", "DescribeAlarms GetMetricData ListDashboards"),
            ("*",),
            READ_ONLY,
            region,
        ),
        Grant(
            "Budget",
            verbs("budgets", "ListTagsForResource ModifyBudget TagResource UntagResource ViewBudget"),
            (f"arn:{names.partition}:budgets::{names.account}:budget/{names.name}-month",),
        ),
    )


def _roles(of: Arns) -> tuple[Grant, ...]:
    names = of.names
    service_roles = f"arn:{names.partition}:iam::{names.account}:role/aws-service-role/*"
    return (
        Grant(
            "BoundedRoles",
            ("iam:AttachRolePolicy", "iam:CreateRole", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy"),
            (of.role("*"),),
            conditions=equal("iam:PermissionsBoundary", names.boundary_arn),
        ),
        Grant(
            "Roles",
            verbs(
                "iam",
                "DeleteRole DeleteRolePolicy DetachRolePolicy GetRole GetRolePolicy ListAttachedRolePolicies "
                "ListRolePolicies TagRole UntagRole UpdateAssumeRolePolicy UpdateRole UpdateRoleDescription",
            ),
            (of.role("*"),),
        ),
        Grant("ListRoles", ("iam:ListRoles",), ("*",), READ_ONLY),
        Grant(
            "RunAs",
            ("iam:PassRole",),
            (of.role("*"),),
            conditions=equal("iam:PassedToService", *RUN_AS),
        ),
        Grant(
            "ServiceRoles",
            ("iam:CreateServiceLinkedRole", "iam:GetRole"),
            (service_roles,),
            "AWS names the roles of its services and decides what they may do.",
        ),
        Grant(
            "NotItself",
            ("iam:*",),
            (
                of.role("deploy"),
                names.execution_role_arn,
                names.boundary_arn,
                f"arn:{names.partition}:iam::{names.account}:policy/{names.name}-access*",
            ),
            "What is denied is denied whole.",
            allow=False,
        ),
    )
