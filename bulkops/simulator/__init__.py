"""A simulated tenant of the vendor's REST API, made from public facts alone; no code is the engine's."""

from bulkops.simulator.options import Credentials, Options
from bulkops.simulator.server import Running, running

__all__ = ["Credentials", "Options", "Running", "running"]
