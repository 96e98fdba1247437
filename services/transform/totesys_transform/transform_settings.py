"""The settings of transform: those of every service and no others."""

from totesys.service_settings import ServiceSettings


class TransformSettings(ServiceSettings):
    """Settings of transform."""
