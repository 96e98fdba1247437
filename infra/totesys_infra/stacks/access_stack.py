"""The roles for deploying from the workflow of one GitHub repository, with short-lived credentials.

An administrator deploys this stack. The workflow's role lets CloudFormation create the other stacks with the execution
role. Deployers cannot escalate their own privileges: the execution role creates roles only within the boundary, and
cannot change itself, the boundary or this stack.
"""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.policies.boundary import boundary
from totesys_infra.policies.deployer import deployer
from totesys_infra.policies.execution import execution
from totesys_infra.policies.statement import PolicyStatement

_ISSUER = "token.actions.githubusercontent.com"


class AccessStack(cdk.Stack):
    """GitHub's OpenID Connect provider, the workflow's role, the execution role, and the boundary."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment, repository: str) -> None:
        super().__init__(
            scope,
            construct_id,
            description="totesys access: deploying from GitHub",
            analytics_reporting=False,
        )
        names = environment.names
        if environment.github_provider == "make":
            provider = iam.CfnOIDCProvider(
                self, "GitHub", url=f"https://{_ISSUER}", client_id_list=["sts.amazonaws.com"]
            ).attr_arn
        else:
            provider = f"arn:{names.partition}:iam::{names.account}:oidc-provider/{_ISSUER}"
        self._policy("Boundary", names.boundary, "Permissions boundary of the stacks' roles", boundary(environment))
        execution_role = iam.Role(
            self,
            "Execution",
            role_name=names.execution_role,
            description="CloudFormation's role for the stacks",
            # Only a principal of this account can pass it.
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
        )
        deploy_role = iam.Role(
            self,
            "Deploy",
            role_name=names.deploy_role,
            description=f"The role of the workflow of {repository}",
            max_session_duration=cdk.Duration.hours(3),
            assumed_by=iam.WebIdentityPrincipal(
                provider,
                {
                    "StringEquals": {
                        f"{_ISSUER}:aud": "sts.amazonaws.com",
                        # GitHub admits a job to its environment by branch and by reviewers.
                        f"{_ISSUER}:sub": [*environment.github_subjects],
                    }
                },
            ),
        )
        for role, policies in ((execution_role, execution(names)), (deploy_role, deployer(environment))):
            # The boundary is for the roles of the other stacks.
            iam.PermissionsBoundary.of(role).clear()
            for part, statements in policies.items():
                name = f"{names.stack('access')}-{part.lower()}"
                self._policy(f"{part}Rights", name, f"{role.node.id}: {part}", statements).attach_to_role(role)

    def _policy(
        self, construct_id: str, name: str, description: str, statements: Iterable[PolicyStatement]
    ) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(
            self,
            construct_id,
            managed_policy_name=name,
            description=description,
            statements=[_statement(one) for one in statements],
        )
        findings = {
            f"{kind}::{text}": one.reason
            for one in statements
            if one.allow
            for kind, texts in (("Action", one.actions), ("Resource", one.resources))
            for text in texts
            if "*" in text
        }
        cdk.Validations.of(policy).acknowledge(
            *(
                cdk.Acknowledgment(id=f"AwsSolutions::AwsSolutions-IAM5[{finding}]", reason=reason)
                for finding, reason in findings.items()
            )
        )
        return policy


def _statement(one: PolicyStatement) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=one.sid,
        effect=iam.Effect.ALLOW if one.allow else iam.Effect.DENY,
        actions=[*one.actions],
        resources=[*one.resources],
        conditions={
            operator: {key: text if isinstance(text, str) else [*text] for key, text in tests.items()}
            for operator, tests in one.conditions.items()
        },
    )
