"""The service: `python -m totesys_load`."""

from totesys.events import LoadWakeup
from totesys.service.main import run_service
from totesys_load.settings import LoadSettings
from totesys_load.stage import open_load
from totesys_load.trace.router import router

if __name__ == "__main__":
    run_service("load", LoadSettings, LoadWakeup, open_load, router)
