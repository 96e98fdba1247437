"""The largest table on its way from the source to the warehouse, each step beside its own limit."""

from collections.abc import Callable

from bench.measurement import Record
from bench.stages import objects, rows, source, warehouse
from bench.stages.step import Meter
from totesys.model.sales import FACT_SALES_ORDER
from totesys.model.source_tables import SALES_ORDER


async def measure(source_dsn: str, warehouse_dsn: str, orders: int, record: Record, say: Callable[[str], None]) -> None:
    """Measure every step in this process, in parts as large as in real runs.

    The source has so many orders, the warehouse is an empty database. Raises WrongResult if the merge writes other
    rows than it should, what the services raise, and subprocess.CalledProcessError where psql fails.
    """
    meter = Meter(orders, record, say)
    fact = FACT_SALES_ORDER
    say("reading parts")
    async with objects.local_bucket() as bucket:
        with objects.loopback_server() as socket:
            csv = await source.copy_out(meter, source_dsn, SALES_ORDER)
            await objects.s3_put(meter, bucket, socket, csv)
            read = await rows.csv_read(meter, SALES_ORDER, csv)
            frames = await rows.transform(meter, SALES_ORDER, fact, read)
            parquet = await rows.parquet_write(meter, fact, frames)
            await objects.s3_get(meter, bucket, socket, await objects.store(bucket, parquet))
    tables = await rows.parquet_read(meter, fact, parquet)
    encoded = await warehouse.encode(meter, fact, tables)
    async with warehouse.warehouse(warehouse_dsn, fact) as connection:
        await warehouse.copy_in(meter, warehouse_dsn, connection, fact, tables, encoded)
        await warehouse.merge(meter, connection, fact, tables)
