"""Removing an environment: all that can be made again, and the data only if asked for."""

from collections.abc import Sequence

from botocore.exceptions import ClientError

from totesys_infra.deploy.aws import code
from totesys_infra.deploy.cloudformation import delete, describe, set_parameter, template_text
from totesys_infra.deploy.deployment import Deployment
from totesys_infra.deploy.errors import DeployRefused
from totesys_infra.deploy.template import StackTemplate
from totesys_infra.names import Purpose

_LAKE: tuple[Purpose, ...] = ("ingest", "processed")
_BUCKETS: tuple[Purpose, ...] = (*_LAKE, "code")
_DATABASE = "AWS::RDS::DBInstance"


def destroy(deployment: Deployment, stacks: Sequence[str], *, delete_data: bool) -> None:
    """Remove the stacks of these names, last first; the data plane is only silenced unless `delete_data`.

    What stays then: the buckets, the queues with their messages, and a last snapshot of an own warehouse. Raises
    DeployRefused if removing the warehouse would leave no snapshot, or StackFailed.
    """
    data_plane = deployment.names.stack("data-plane")
    # Nobody will read what the schedules would send.
    deployment.say(f"{data_plane}: schedules off")
    set_parameter(deployment, data_plane, {"ScheduleState": "DISABLED"})
    # Its stack cannot remove a bucket that is not empty; what is in it can be asked again.
    _empty(deployment, deployment.names.bucket("queries"))
    for name in reversed([name for name in stacks if name != data_plane]):
        if describe(deployment, name) is not None:
            _unprotect_database(deployment, name)
            deployment.say(f"{name}: removed")
            delete(deployment, name)
    if delete_data:
        _delete_data(deployment, data_plane)


def _unprotect_database(deployment: Deployment, stack: str) -> None:
    """Let CloudFormation remove the warehouse's instance, if it will leave a snapshot."""
    resources = StackTemplate(stack, template_text(deployment, stack), {}).content["Resources"].values()
    databases = [resource for resource in resources if resource["Type"] == _DATABASE]
    for database in databases:
        if database.get("DeletionPolicy") != "Snapshot":
            raise DeployRefused(
                f"The stack {stack} would remove its database without a last snapshot. Its template has to say "
                "DeletionPolicy: Snapshot."
            )
    instance = deployment.names.warehouse_instance
    if databases:
        deployment.say(f"{instance}: deletion protection off; a last snapshot is taken when it is removed")
        deployment.aws.rds.modify_db_instance(
            DBInstanceIdentifier=instance, DeletionProtection=False, ApplyImmediately=True
        )


def _delete_data(deployment: Deployment, data_plane: str) -> None:
    for purpose in _BUCKETS:
        _empty(deployment, deployment.names.bucket(purpose))
    delete(deployment, data_plane)
    for purpose in _LAKE:
        bucket = deployment.names.bucket(purpose)
        # A service's last put may have come after the rest.
        if _empty(deployment, bucket):
            deployment.aws.s3.delete_bucket(Bucket=bucket)
    _delete_snapshots(deployment)


def _empty(deployment: Deployment, bucket: str) -> bool:
    """Delete every object of a bucket, all versions; False if there is no such bucket."""
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
    deployment.say(f"{bucket}: {deleted:,} objects deleted")
    return True


def _delete_snapshots(deployment: Deployment) -> None:
    """Delete the snapshots that were taken of the warehouse's instance."""
    rds, instance = deployment.aws.rds, deployment.names.warehouse_instance
    pages = rds.get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier=instance, SnapshotType="manual")
    for snapshot in [found["DBSnapshotIdentifier"] for page in pages for found in page["DBSnapshots"]]:
        deployment.say(f"{snapshot}: snapshot deleted")
        rds.delete_db_snapshot(DBSnapshotIdentifier=snapshot)
