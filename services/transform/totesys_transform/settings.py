"""What transform can be told: nothing besides what every service can."""

from totesys.service_settings import ServiceSettings


class TransformSettings(ServiceSettings):
    """Settings of transform."""
