"""Removes an environment: everything that can be recreated, and the data only on request."""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from totesys_infra.deploy.clients import code
from totesys_infra.deploy.cloudformation import delete, describe, set_parameter, template_text
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.failures import DeployRefused
from totesys_infra.deploy.template import StackTemplate
from totesys_infra.names import Purpose

_LAKE: tuple[Purpose, ...] = ("ingest", "processed")
_BUCKETS: tuple[Purpose, ...] = (*_LAKE, "code")
_DATABASE = "AWS::RDS::DBInstance"


def destroy(deployment: Deployment, stacks: Sequence[str], *, delete_data: bool) -> None:
    """Delete the stacks with these names, last first. Without `delete_data`, the data plane stays, disabled.

    The buckets, the queues with their messages, and a final snapshot of the created warehouse then remain. Raises
    DeployRefused if deleting the warehouse would leave no snapshot, or StackFailed.
    """
    data_plane = deployment.names.stack("data-plane")
    # No service will read what the schedules send.
    deployment.report(f"{data_plane}: disabling the schedules")
    set_parameter(deployment, data_plane, {"ScheduleState": "DISABLED"})
    # CloudFormation deletes only empty buckets, and queries can be repeated.
    _empty(deployment, deployment.names.bucket("queries"))
    for name in reversed([name for name in stacks if name != data_plane]):
        if describe(deployment, name) is not None:
            _unprotect_database(deployment, name)
            deployment.report(f"{name}: deleting")
            delete(deployment, name)
    if delete_data:
        _delete_data(deployment, data_plane)


def _unprotect_database(deployment: Deployment, stack: str) -> None:
    """Let CloudFormation delete the warehouse's instance, if it will leave a snapshot."""
    resources = StackTemplate(stack, template_text(deployment, stack), {}).content["Resources"].values()
    databases = [resource for resource in resources if resource["Type"] == _DATABASE]
    for database in databases:
        if database.get("DeletionPolicy") != "Snapshot":
            raise DeployRefused(
                f"Deleting the stack {stack} would delete its database without a final snapshot. Its template needs "
                "DeletionPolicy: Snapshot."
            )
    instance = deployment.names.warehouse_instance
    if databases:
        deployment.report(f"{instance}: disabling deletion protection; its deletion leaves a final snapshot")
        deployment.aws.rds.modify_db_instance(
            DBInstanceIdentifier=instance, DeletionProtection=False, ApplyImmediately=True
        )


def _delete_data(deployment: Deployment, data_plane: str) -> None:
    for purpose in _BUCKETS:
        _empty(deployment, deployment.names.bucket(purpose))
    delete(deployment, data_plane)
    for purpose in _LAKE:
        bucket = deployment.names.bucket(purpose)
        # A service may still have written while it stopped.
        if _empty(deployment, bucket):
            deployment.aws.s3.delete_bucket(Bucket=bucket)
    _delete_snapshots(deployment)


def _empty(deployment: Deployment, bucket: str) -> bool:
    """Delete all objects of a bucket with all versions; False if the bucket does not exist."""
    pages = deployment.aws.s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
    deleted = 0
    try:
        for page in pages:
            found = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            if not found:
                continue
            answered = deployment.aws.s3.delete_objects(
                Bucket=bucket,
                Delete={
                    "Objects": [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in found],
                    "Quiet": True,
                },
            )
            if errors := answered.get("Errors"):
                raise DeployRefused(f"{len(errors)} objects of {bucket} cannot be deleted: {errors[0]}.")
            deleted += len(found)
    except ClientError as error:
        if code(error) == "NoSuchBucket":
            return False
        raise
    deployment.report(f"{bucket}: deleted {deleted:,} objects")
    return True


def _delete_snapshots(deployment: Deployment) -> None:
    """Delete the manual and final snapshots of the warehouse's instance."""
    rds, instance = deployment.aws.rds, deployment.names.warehouse_instance
    pages = rds.get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier=instance, SnapshotType="manual")
    for snapshot in [found["DBSnapshotIdentifier"] for page in pages for found in page["DBSnapshots"]]:
        deployment.report(f"{snapshot}: deleting the snapshot")
        rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
