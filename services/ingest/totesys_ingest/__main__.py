"""Runs the service: `python -m totesys_ingest`."""

from totesys.events import ExtractTrigger
from totesys.service.main import Service, run_service
from totesys_console.router import PAGES
from totesys_ingest.ingest_settings import IngestSettings
from totesys_ingest.ingest_stage import open_ingest

if __name__ == "__main__":
    run_service(Service("ingest", IngestSettings, ExtractTrigger, open_ingest, PAGES))
