"""The CDK app, whose templates lack what the emulator lacks."""

import os
from pathlib import Path

from tests.deployment.lacking import adapted
from totesys_infra.deploy.template import StackTemplate
from totesys_infra.stacks import cdk_app

if __name__ == "__main__":
    cdk_app.main()
    for file in Path(os.environ["CDK_OUTDIR"]).glob("*.template.json"):
        file.write_text(adapted(StackTemplate(file.stem, file.read_text(), {})).body)
