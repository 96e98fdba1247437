"""Runs the service: `python -m totesys_ingest`."""

from totesys.service.server import Service, run_service
from totesys.triggers import ExtractTrigger
from totesys_console.routes import PAGES
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import open_ingest

if __name__ == "__main__":
    run_service(Service("ingest", IngestSettings, ExtractTrigger, open_ingest, PAGES))
