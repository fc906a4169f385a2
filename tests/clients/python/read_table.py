"""Reads a Daytwo span table with other engines and prints the rows each of them sees, for comparison with our SQL.

usage: read_table.py TABLE_DIR

One line of JSON: {"version": ..., "pyarrow": [...], "duckdb": [...], "polars": [...]}; all engines read the same version of the
table. A row is [trace id, span id, service, name, start, duration, kind, status, http.request.method, the order.number
attribute], sorted.
"""
import json
import sys

import duckdb
import polars
from deltalake import DeltaTable

COLUMNS = [
    "trace_id", "span_id", "service_name", "name", "start_time_unix_nano", "duration_time_unix_nano", "kind", "status_code",
    "http_request_method", "attributes",
]


def pairs(attributes):
    """A map, as each engine gives it: a dict, a list of pairs, or a list of records."""
    if isinstance(attributes, dict):
        return attributes
    return dict(tuple(entry.values()) if isinstance(entry, dict) else entry for entry in attributes or [])


def plain(row):
    values = pairs(row.pop("attributes"))
    ids = [bytes(row.pop("trace_id")).hex(), bytes(row.pop("span_id")).hex()]
    return ids + list(row.values()) + [values.get("order.number")]


def main():
    table = DeltaTable(sys.argv[1])
    arrow_rows = table.to_pyarrow_table(columns=COLUMNS).to_pylist()
    polars_rows = polars.scan_delta(sys.argv[1], version=table.version()).select(COLUMNS).collect().to_dicts()
    relation = duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM read_parquet({table.file_uris()!r})")
    duck_rows = [dict(zip(COLUMNS, row)) for row in relation.fetchall()]
    found = {"pyarrow": arrow_rows, "duckdb": duck_rows, "polars": polars_rows}
    print(json.dumps({"version": table.version()} | {engine: sorted(map(plain, rows)) for engine, rows in found.items()}))


main()
