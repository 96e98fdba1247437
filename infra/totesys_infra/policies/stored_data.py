"""What CloudFormation may do with what holds data: buckets, catalog, database, messages, keys and secrets."""

from totesys_infra.policies.statement import READ_ONLY, UNNAMED, Arns, Conditions, PolicyStatement, verbs


def lake_and_catalog(of: Arns) -> tuple[PolicyStatement, ...]:
    """The buckets, the Glue database and the Athena workgroup."""
    names = of.names
    return (
        PolicyStatement(
            "Buckets",
            verbs(
                "s3",
                "CreateBucket DeleteBucket* Get*Configuration GetBucket* ListBucket ListTagsForResource "
                "Put*Configuration PutBucket* TagResource UntagResource",
            ),
            tuple(names.bucket_arn(purpose) for purpose in ("ingest", "processed", "code", "queries")),
            "The settings of these buckets, not their objects.",
        ),
        PolicyStatement(
            "QueryResults",
            verbs("s3", "AbortMultipartUpload GetObject ListBucketMultipartUploads ListMultipartUploadParts PutObject"),
            (names.bucket_arn("queries"), names.bucket_arn("queries", "*")),
            "Athena may test the result location of its workgroup.",
        ),
        PolicyStatement(
            "Templates",
            ("s3:GetObject",),
            (names.bucket_arn("code", "templates/*"),),
            "Keys are named by their contents.",
        ),
        PolicyStatement("ListBuckets", ("s3:ListAllMyBuckets",), ("*",), READ_ONLY),
        PolicyStatement(
            "Catalog",
            verbs("glue", "*Database *Databases *Table"),
            (
                of.arn("glue", "catalog"),
                of.arn("glue", f"database/{names.glue_database}"),
                of.arn("glue", f"table/{names.glue_database}/*"),
                of.arn("glue", f"userDefinedFunction/{names.glue_database}/*"),
            ),
            "The catalog's database and its tables.",
        ),
        PolicyStatement("LakeFormation", verbs("lakeformation", "Describe* ListResources"), ("*",), READ_ONLY),
        PolicyStatement(
            "Workgroup",
            verbs("athena", "*WorkGroup ListTagsForResource TagResource UntagResource"),
            (of.arn("athena", f"workgroup/{names.name}"),),
            "The actions of one workgroup.",
        ),
        PolicyStatement("ListWorkgroups", ("athena:ListWorkGroups",), ("*",), READ_ONLY),
    )


def database(of: Arns, region: Conditions) -> tuple[PolicyStatement, ...]:
    """The RDS instance with its groups and snapshots."""
    kinds = ("db", "subgrp", "pg", "snapshot")
    own = tuple(of.arn("rds", f"{kind}:{of.names.name}*") for kind in kinds)
    return (
        PolicyStatement(
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
        PolicyStatement("DescribeDatabases", ("rds:Describe*", "rds:ListTagsForResource"), ("*",), READ_ONLY, region),
    )


def messages(of: Arns, region: Conditions) -> tuple[PolicyStatement, ...]:
    """The queues, the topic and the EventBridge rules."""
    names = of.names
    return (
        PolicyStatement(
            "Queues",
            verbs("sqs", "CreateQueue DeleteQueue GetQueue* ListQueueTags SetQueueAttributes TagQueue UntagQueue"),
            (names.queue_arn(f"{names.name}-*"),),
        ),
        PolicyStatement(
            "Topic",
            verbs(
                "sns",
                "CreateTopic DeleteTopic GetDataProtectionPolicy GetTopicAttributes ListSubscriptionsByTopic "
                "ListTagsForResource PutDataProtectionPolicy SetTopicAttributes Subscribe TagResource UntagResource",
            ),
            (names.alerts_arn,),
        ),
        PolicyStatement(
            "Subscriptions",
            verbs(
                "sns", "GetSubscriptionAttributes ListSubscriptions ListTopics SetSubscriptionAttributes Unsubscribe"
            ),
            ("*",),
            UNNAMED,
            region,
        ),
        PolicyStatement(
            "Rules",
            verbs(
                "events",
                "DeleteRule DescribeRule ListTagsForResource ListTargetsByRule PutRule PutTargets RemoveTargets "
                "TagResource UntagResource",
            ),
            (of.arn("events", f"rule/{names.name}-*"),),
        ),
        PolicyStatement("ListMessages", ("events:ListRules", "sqs:ListQueues"), ("*",), READ_ONLY, region),
    )


def keys_and_secrets(of: Arns, region: Conditions) -> tuple[PolicyStatement, ...]:
    """The KMS key, the trigger token and the master password."""
    names = of.names
    token = of.arn("secretsmanager", f"secret:{names.trigger_token}-*")
    return (
        PolicyStatement("CreateKey", ("kms:CreateKey", "kms:ListAliases", "kms:ListKeys"), ("*",), UNNAMED, region),
        PolicyStatement(
            "Keys",
            verbs(
                "kms",
                "CreateGrant DescribeKey DisableKeyRotation EnableKeyRotation GetKey* ListResourceTags PutKeyPolicy "
                "RetireGrant ScheduleKeyDeletion TagResource UntagResource UpdateKeyDescription",
            ),
            (of.arn("kms", "key/*"),),
            "AWS chooses the ids of keys.",
        ),
        PolicyStatement(
            "TriggerToken",
            verbs(
                "secretsmanager",
                "CreateSecret DeleteSecret DescribeSecret GetSecretValue TagResource UntagResource UpdateSecret",
            ),
            (token,),
            "Secrets Manager appends six characters to the name.",
        ),
        PolicyStatement(
            "MasterPassword",
            verbs("secretsmanager", "CreateSecret DescribeSecret TagResource"),
            (of.arn("secretsmanager", "secret:rds!*"),),
            "RDS names the secret of the master password, and keeps it.",
        ),
        PolicyStatement(
            "Passwords",
            ("secretsmanager:GetRandomPassword", "secretsmanager:ListSecrets"),
            ("*",),
            UNNAMED,
            region,
        ),
    )
