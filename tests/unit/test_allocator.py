"""Services allocate memory in the same way in an image and on one machine."""

import re
from pathlib import Path

from totesys_cli.service_processes import ALLOCATOR

DOCKERFILE = Path(__file__).parents[2] / "services/Dockerfile"


def test_images_and_local_services_have_the_same_allocator_settings() -> None:
    in_image = dict(re.findall(r"^\s+(\w+)=(\S+)", DOCKERFILE.read_text(), re.MULTILINE))
    assert {name: in_image.get(name) for name in ALLOCATOR} == ALLOCATOR
