"""The service: `python -m totesys_transform`."""

from totesys.events import RunsWakeup
from totesys.service.main import run_service
from totesys_transform.settings import TransformSettings
from totesys_transform.stage import open_transform

if __name__ == "__main__":
    run_service("transform", TransformSettings, RunsWakeup, open_transform)
