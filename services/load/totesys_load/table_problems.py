"""Why load cannot use an existing table, each reason with its fix. Pure."""

from collections.abc import Iterator

from totesys.ledger_schema import LedgerTable, column_types
from totesys.schema import Model
from totesys.sql import ident, qualified
from totesys.table import Column, Fact, WarehouseTable
from totesys_load.column_types import holds
from totesys_load.warehouse_catalog import Constraint, Relation, WarehouseCatalog, WarehouseColumn

KINDS = {
    "v": "a view",
    "m": "a materialized view",
    "f": "a foreign table",
    "p": "a partitioned table",
    "i": "an index",
    "S": "a sequence",
    "c": "a composite type",
}
# An `integer` version id ends at 2,147,483,647. That is many, and load only stops when it is reached.
_VERSION_ID_TYPES = ("bigint", "integer")


def table_problems(
    model: Model, schema: str, table: WarehouseTable, found: Relation, catalog: WarehouseCatalog
) -> list[str]:
    """What prevents load from using a table."""
    if other := _not_a_table(found):
        return [other]
    return [
        *_of_relation(found),
        *_of_privileges(found, catalog),
        *_of_columns(table, found, catalog),
        *_of_constraints(model, schema, table, found),
        *_of_indexes(table, found),
    ]


def ledger_problems(table: LedgerTable, found: Relation, catalog: WarehouseCatalog) -> Iterator[str]:
    """What prevents load from using an existing table of the ledger's name. A column that was added later may lack."""
    if other := _not_a_table(found):
        yield f"{found.schema}.{other}"
        return
    existing = {column.name: column.kind for column in found.columns}
    fix = f"rename the schema {found.schema}, which load needs for its ledger"
    required = column_types(table.columns)
    for name, declared in {**required, **column_types(table.added)}.items():
        if name not in existing and name in required:
            yield f"column {found.schema}.{found.name}.{name} is missing: {fix}"
        elif existing.get(name, declared) != declared:
            yield f"column {found.schema}.{found.name}.{name} is {existing[name]}, not {declared}: {fix}"
    yield from _of_privileges(found, catalog)


def _not_a_table(found: Relation) -> str | None:
    if found.kind == "r":
        return None
    return f"{found.name} is {KINDS.get(found.kind, 'something else')}, not a table: rename it"


def _of_relation(found: Relation) -> Iterator[str]:
    name, target = found.name, qualified(found.schema, found.name)
    if found.related:
        yield f"table {name} is a partition, a parent or a child of another table: use a table of its own"
    if not found.logged:
        yield f"table {name} is unlogged, so a crash would empty it: ALTER TABLE {target} SET LOGGED"
    if found.row_security:
        yield f"table {name} has row-level security that applies to this role: exempt it with ALTER ROLE … BYPASSRLS"
    for trigger in found.triggers:
        yield f"trigger {trigger} on {name} could change rows: ALTER TABLE {target} DISABLE TRIGGER {ident(trigger)}"
    for rule in found.rules:
        yield f"rule {rule} on {name} could change what is written: DROP RULE {ident(rule)} ON {target}"


def _of_privileges(found: Relation, catalog: WarehouseCatalog) -> Iterator[str]:
    if found.lacking:
        privileges, target = ", ".join(found.lacking), qualified(found.schema, found.name)
        yield f"this role may not {privileges} on {found.name}: GRANT {privileges} ON {target} TO {catalog.role}"
    for column in found.columns:
        if column.sequence and not column.sequence.usable:
            name = column.sequence.name
            yield f"this role may not use the sequence {name}: GRANT USAGE, UPDATE ON SEQUENCE {name} TO {catalog.role}"


def _of_columns(table: WarehouseTable, found: Relation, catalog: WarehouseCatalog) -> Iterator[str]:
    others = {column.name: column for column in found.columns}
    if isinstance(table, Fact):
        yield from _of_version_id(table, found, others.pop(table.record_id, None))
    for column in table.columns:
        other = others.pop(column.name, None)
        if other is not None:
            yield from _of_column(column, found, other)
        elif not catalog.may_add_columns(found):
            yield f"column {table.name}.{column.name} is missing: add it as {column.type.postgres}"
    for name, other in others.items():
        if other.required:
            yield f"column {table.name}.{name} is not declared and rejects NULL: {_alter(found, name)} DROP NOT NULL"


def _alter(found: Relation, column: str) -> str:
    return f"ALTER TABLE {qualified(found.schema, found.name)} ALTER COLUMN {ident(column)}"


def _of_column(column: Column, found: Relation, other: WarehouseColumn) -> Iterator[str]:
    label, alter = f"column {found.name}.{column.name}", _alter(found, column.name)
    if not holds(column.type.postgres, other.kind):
        yield (
            f"{label} is {other.kind}, not {column.type.postgres}, and cannot hold every value exactly: "
            f"{alter} TYPE {column.type.postgres}"
        )
    if other.generated:
        yield f"{label} is a generated column: {alter} DROP EXPRESSION"
    if other.identity == "a":
        yield f"{label} accepts no values, because it is GENERATED ALWAYS: {alter} SET GENERATED BY DEFAULT"
    if not other.deterministic:
        yield f"{label} has a nondeterministic collation, which treats different texts as equal: use another one"
    if column.nullable and other.not_null:
        yield f"{label} rejects NULL: {alter} DROP NOT NULL"


def _of_version_id(fact: Fact, found: Relation, column: WarehouseColumn | None) -> Iterator[str]:
    label = f"column {fact.name}.{fact.record_id}"
    if column is None:
        yield f"{label} is missing: add it as bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY"
        return
    alter = _alter(found, fact.record_id)
    if column.kind not in _VERSION_ID_TYPES:
        yield f"{label} is {column.kind}, not bigint: {alter} TYPE bigint"
    if not column.not_null:
        yield f"{label} accepts NULL: {alter} SET NOT NULL"
    if column.sequence is None:
        why = f"its default is {column.default}" if column.default else "it has no identity and no default"
        yield f"{label} has no sequence, {why}: {alter} ADD GENERATED BY DEFAULT AS IDENTITY"
        return
    sequence = column.sequence
    if sequence.increment < 1 or sequence.cycle or sequence.cache > 1:
        yield (
            f"the sequence {sequence.name} of {fact.name} may give a later row a lower number: "
            f"ALTER SEQUENCE {sequence.name} INCREMENT 1 CACHE 1 NO CYCLE"
        )


def _of_constraints(model: Model, schema: str, table: WarehouseTable, found: Relation) -> Iterator[str]:
    target = qualified(found.schema, found.name)
    for constraint in found.constraints:
        label = f"constraint {constraint.name} on {table.name}"
        drop = f"ALTER TABLE {target} DROP CONSTRAINT {ident(constraint.name)}"
        if constraint.kind != "f":
            yield f"{label} may reject rows, {constraint.definition}: {drop}"
        elif not _is_declared(model, schema, table, constraint):
            yield f"{label} does not match a declared reference, {constraint.definition}: {drop}"
    if isinstance(table, Fact) and found.referenced_by:
        references = ", ".join(found.referenced_by)
        yield f"foreign keys refer to {table.name}, whose versions a replay replaces: drop {references}"


def _is_declared(model: Model, schema: str, table: WarehouseTable, constraint: Constraint) -> bool:
    """Whether a foreign key matches a declared reference of a fact: from its columns to the key of a dimension."""
    names = {column.references for column in table.columns if column.name in constraint.columns}
    name = names.pop() if len(names) == 1 else None
    if name is None or not isinstance(table, Fact):
        return False
    return constraint.target == f"{schema}.{name}" and constraint.target_columns == model.table(name).key_names


def _of_indexes(table: WarehouseTable, found: Relation) -> Iterator[str]:
    needed, why = table.key_names, "may reject rows"
    if isinstance(table, Fact):
        needed, why = (table.record_id,), f"forbids a second version of a {table.key_label}"
    for index in found.indexes:
        if index.unique and not set(needed).issubset(index.columns):
            yield f"unique index {index.name} on {table.name} {why}: drop it, or its constraint"
