"""The service: `python -m totesys_load`."""

from totesys.service.server import Service, run_service
from totesys.triggers import LoadTrigger
from totesys_console.routes import PAGES
from totesys_load.settings import LoadSettings
from totesys_load.stage import open_load
from totesys_load.trace.router import router

if __name__ == "__main__":
    run_service(Service("load", LoadSettings, LoadTrigger, open_load, PAGES, router))
