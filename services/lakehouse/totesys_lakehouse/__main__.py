"""The service: `python -m totesys_lakehouse`."""

from totesys.service.server import Service, run_service
from totesys.triggers import RunsTrigger
from totesys_console.routes import PAGES
from totesys_lakehouse.lakehouse_settings import LakehouseSettings
from totesys_lakehouse.lakehouse_stage import open_lakehouse

if __name__ == "__main__":
    run_service(Service("lakehouse", LakehouseSettings, RunsTrigger, open_lakehouse, PAGES))
