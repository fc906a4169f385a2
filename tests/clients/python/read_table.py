"""Reads a Daytwo span table with other engines and prints the rows each of them sees, for comparison with our SQL.

usage: read_table.py TABLE_DIR

One line of JSON: {"deltalake": [...], "duckdb": [...]}; a row is [trace id, span id, service, name, start, duration, kind,
status, http.request.method, the order.number attribute], sorted.
"""
import json
import sys

import duckdb
from deltalake import DeltaTable

COLUMNS = [
    "trace_id", "span_id", "service_name", "name", "start_time_unix_nano", "duration_time_unix_nano", "kind", "status_code",
    "http_request_method", "attributes",
]


def plain(row):
    values = dict(row.pop("attributes") or {})
    ids = [bytes(row.pop("trace_id")).hex(), bytes(row.pop("span_id")).hex()]
    return ids + list(row.values()) + [values.get("order.number")]


def main():
    files = DeltaTable(sys.argv[1]).file_uris()
    table = DeltaTable(sys.argv[1]).to_pyarrow_table(columns=COLUMNS)
    arrow_rows = sorted(plain(row) for row in table.to_pylist())
    relation = duckdb.sql(f"SELECT {', '.join(COLUMNS)} FROM read_parquet({files!r})")
    duck_rows = sorted(plain(dict(zip(COLUMNS, row))) for row in relation.fetchall())
    print(json.dumps({"deltalake": arrow_rows, "duckdb": duck_rows}))


main()
