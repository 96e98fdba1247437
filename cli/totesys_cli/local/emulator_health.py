"""The emulator container's health check: does it respond, and has it created its data plane?"""

import json
import os
import sys
from http.client import HTTPConnection, HTTPException

SECONDS = 4.0


def main() -> int:
    """0 once all scripts that the emulator runs at its start have succeeded; else 1."""
    connection = HTTPConnection("127.0.0.1", int(os.environ.get("GATEWAY_PORT", "4566")), timeout=SECONDS)
    try:
        connection.request("GET", "/_ministack/ready")
        scripts = json.loads(connection.getresponse().read())
    except (OSError, HTTPException, ValueError) as error:
        print(f"The emulator does not respond: {error or type(error).__name__}.")
        return 1
    print(scripts)
    return 0 if scripts["status"] == "completed" and scripts["total"] and not scripts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
