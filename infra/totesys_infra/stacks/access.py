"""The right to deploy, of the workflow of one GitHub repository: short-lived, and with no way to more than it has.

An administrator deploys this stack. The workflow's role may have CloudFormation make the other stacks with the
execution role; that role may make roles only within the boundary, and may change neither itself, nor the boundary, nor
this stack.
"""

from collections.abc import Iterable

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from constructs import Construct

from totesys_infra.environment import Environment
from totesys_infra.grants.boundary import boundary
from totesys_infra.grants.deployer import deployer
from totesys_infra.grants.execution import execution
from totesys_infra.grants.grant import Grant

_ISSUER = "token.actions.githubusercontent.com"


class Access(cdk.Stack):
    """GitHub's OpenID Connect provider, the workflow's role, the execution role, and the boundary."""

    def __init__(self, scope: Construct, construct_id: str, environment: Environment, repository: str) -> None:
        super().__init__(
            scope,
            construct_id,
            description="totesys access: what the repository's workflow may deploy",
            analytics_reporting=False,
        )
        names = environment.names
        if environment.github_provider == "make":
            provider = iam.CfnOIDCProvider(
                self, "GitHub", url=f"https://{_ISSUER}", client_id_list=["sts.amazonaws.com"]
            ).attr_arn
        else:
            provider = f"arn:{names.partition}:iam::{names.account}:oidc-provider/{_ISSUER}"
        self._policy("Boundary", names.boundary, "Bounds each role of the stacks", boundary(environment))
        execution_role = iam.Role(
            self,
            "Execution",
            role_name=names.execution_role,
            description="What CloudFormation makes the stacks with",
            # It is passed by who may deploy, who is of this account: no other one can.
            assumed_by=iam.ServicePrincipal("cloudformation.amazonaws.com"),
        )
        deploy_role = iam.Role(
            self,
            "Deploy",
            role_name=names.deploy_role,
            description=f"What the workflow of {repository} deploys with",
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
            # They are what is bounded by, or what bounds.
            iam.PermissionsBoundary.of(role).clear()
            for part, grants in policies.items():
                name = f"{names.stack('access')}-{part.lower()}"
                self._policy(
                    f"{part}Rights", name, f"What {role.node.id.lower()} may do: {part}", grants
                ).attach_to_role(role)

    def _policy(self, construct_id: str, name: str, description: str, grants: Iterable[Grant]) -> iam.ManagedPolicy:
        policy = iam.ManagedPolicy(
            self,
            construct_id,
            managed_policy_name=name,
            description=description,
            statements=[_statement(grant) for grant in grants],
        )
        findings = {
            f"{kind}::{text}": grant.reason
            for grant in grants
            if grant.allow
            for kind, texts in (("Action", grant.actions), ("Resource", grant.resources))
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


def _statement(grant: Grant) -> iam.PolicyStatement:
    return iam.PolicyStatement(
        sid=grant.sid,
        effect=iam.Effect.ALLOW if grant.allow else iam.Effect.DENY,
        actions=[*grant.actions],
        resources=[*grant.resources],
        conditions={
            operator: {key: text if isinstance(text, str) else [*text] for key, text in tests.items()}
            for operator, tests in grant.conditions.items()
        },
    )
