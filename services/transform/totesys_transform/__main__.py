"""Runs the service: `python -m totesys_transform`."""

from totesys.events import RunsTrigger
from totesys.service.main import Service, run_service
from totesys_console.router import PAGES
from totesys_transform.transform_settings import TransformSettings
from totesys_transform.transform_stage import open_transform

if __name__ == "__main__":
    run_service(Service("transform", TransformSettings, RunsTrigger, open_transform, PAGES))
