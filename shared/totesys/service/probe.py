"""The container's health check: `python -m totesys.service.probe` requests the health of the service in it."""

import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4.0
OK = 200


def main() -> int:
    """0 if the service at TOTESYS_PORT is healthy; else 1, and its answer or the error printed."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("TOTESYS_PORT", "8080")), timeout=SECONDS)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
    except (OSError, HTTPException) as error:
        print(f"The service does not answer: {error or type(error).__name__}.")
        return 1
    print(body)
    return 0 if answer.status == OK else 1


if __name__ == "__main__":
    sys.exit(main())
