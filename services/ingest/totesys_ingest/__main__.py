"""The service: `python -m totesys_ingest`."""

from totesys.events import ExtractWakeup
from totesys.service.main import run_service
from totesys_ingest.settings import IngestSettings
from totesys_ingest.stage import open_ingest

if __name__ == "__main__":
    run_service("ingest", IngestSettings, ExtractWakeup, open_ingest)
