"""Runs the service: `python -m totesys_transform`."""

from totesys.service.server import Service, run_service
from totesys.triggers import RunsTrigger
from totesys_console.routes import PAGES
from totesys_transform.transform_settings import TransformSettings
from totesys_transform.transform_stage import open_transform

if __name__ == "__main__":
    run_service(Service("transform", TransformSettings, RunsTrigger, open_transform, PAGES))
