"""A started service, as its HTTP side sees it."""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from fastapi import Request

from totesys.service.background import Background
from totesys.service.consumer import Consumer
from totesys.service.exposition import Exposition
from totesys.service.queue import Queue
from totesys.service.stage_protocol import Stage
from totesys.triggers import Trigger

T = TypeVar("T", bound=Trigger)


@dataclass(frozen=True)
class Running(Generic[T]):
    """The parts of a started service, which the app keeps in its state."""

    stage: Stage[T]
    queue: Queue
    consumer: Consumer[T]
    background: Background
    exposition: Exposition = field(default_factory=Exposition)

    @property
    def fault(self) -> str | None:
        """Why the service is not alive; None if it is."""
        return self.background.fault or self.consumer.fault


def running(request: Request) -> Running[Any]:
    """The service that answers a request."""
    started: Running[Any] = request.app.state.running
    return started
