"""Runs the service: `python -m totesys_load`."""

from totesys.service.server import Service, run_service
from totesys.triggers import LoadTrigger
from totesys_console.routes import PAGES
from totesys_load.load_settings import LoadSettings
from totesys_load.load_stage import open_load
from totesys_load.trace.trace_endpoint import router

if __name__ == "__main__":
    run_service(Service("load", LoadSettings, LoadTrigger, open_load, PAGES, router))
