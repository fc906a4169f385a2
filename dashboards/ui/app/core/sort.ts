// Sorting for tables: unknown values last in either direction, equal rows in the order they came.

export type SortValue = string | number | null;

export function sortRows<T>(rows: T[], by: (row: T) => SortValue, down: boolean): T[] {
  const keyed = rows.map((row, at) => ({ row, at, key: by(row) }));
  keyed.sort((a, b) => {
    if (a.key === null || b.key === null) return a.key === b.key ? a.at - b.at : a.key === null ? 1 : -1;
    const order = compare(a.key, b.key);
    return order === 0 ? a.at - b.at : down ? -order : order;
  });
  return keyed.map((one) => one.row);
}

function compare(a: string | number, b: string | number): number {
  if (typeof a === "number" && typeof b === "number") return a - b;
  const left = String(a);
  const right = String(b);
  return left < right ? -1 : left > right ? 1 : 0;
}
