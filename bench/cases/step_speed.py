"""The largest table on its way from the source to the warehouse, each step beside its own limit."""

from bench.steps import database_steps, lake_steps, row_steps
from bench.steps.meter import Meter
from bench.trial import Trial
from totesys.model.sales import FACT_SALES_ORDER
from totesys.model.source_tables import SALES_ORDER


async def measure(trial: Trial) -> None:
    """Measure every step in this process, in parts as large as in real runs.

    Raises WrongResult if the merge writes other rows than it should, what the services raise, and CommandFailed if psql
    fails.
    """
    meter, fact = Meter(trial.server.orders, trial.report, trial.say), FACT_SALES_ORDER
    trial.say("reading parts")
    async with lake_steps.local_bucket() as bucket:
        with lake_steps.loopback_server() as socket:
            csv = await database_steps.copy_out(meter, trial.server.source, SALES_ORDER)
            await lake_steps.s3_put(meter, bucket, socket, csv)
            read = await row_steps.csv_read(meter, SALES_ORDER, csv)
            frames = await row_steps.transform(meter, SALES_ORDER, fact, read)
            parquet = await row_steps.parquet_write(meter, fact, frames)
            await lake_steps.s3_get(meter, bucket, socket, parquet)
    tables = await row_steps.parquet_read(meter, fact, parquet)
    encoded = await database_steps.encode(meter, fact, tables)
    async with (
        trial.server.database("warehouse_stages") as dsn,
        database_steps.warehouse(dsn, fact) as connection,
    ):
        await database_steps.copy_in(meter, dsn, connection, fact, tables, encoded)
        await database_steps.merge(meter, connection, fact, tables)
