"""The usual student's script fills the warehouse's tables: see `bench.peers.student_script`."""

from bench.peers.process import PeerRun, run_module
from bench.peers.tables import create_tables

PROGRAM = "bench.peers.student_script"


async def load(source: str, warehouse: str, orders: int) -> PeerRun:
    """Fill the warehouse's tables, made anew, with the first `orders` sales and purchases and what belongs to them.

    Raises CommandFailed with what the script says.
    """
    await create_tables(warehouse)
    return await run_module(PROGRAM, source, warehouse, str(orders))
