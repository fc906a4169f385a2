// One table for all lists: real <table>, sortable heads (kept in the URL), j/k between rows, CSV of what is shown.
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useKeys } from "../core/keys";
import { query, setQuery } from "../core/router";
import { csv, download } from "../core/share";
import { sortRows, type SortValue } from "../core/sort";

export interface Column<T> {
  id: string;
  head: string;
  /** Right-aligned, tabular numerals. */
  number?: boolean;
  /** Explains the head. */
  hint?: string;
  cell: (row: T) => ComponentChildren;
  /** Sortable, and the CSV value, if given; null sorts last. */
  value?: (row: T) => SortValue;
  class?: string;
}

interface Props<T> {
  name: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** Column id, "-" before it for descending; absent keeps the server's order. */
  sort?: string;
  selected?: (row: T) => boolean;
  /** A second table on a page must not share the URL's `sort`. */
  sortParameter?: string;
  keys?: boolean;
}

export function DataTable<T>({ name, columns, rows, rowKey, sort, selected, sortParameter = "sort", keys = true }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const order = query.value[sortParameter] ?? sort ?? "";
  const [column, down] = order.startsWith("-") ? [order.slice(1), true] : [order, false];
  const by = columns.find((one) => one.id === column)?.value;
  const shown = by ? sortRows(rows, by, down) : rows;
  return (
    <div class="tablewrap">
      {keys ? <RowKeys body={body} /> : null}
      <table class="grid" aria-label={name}>
        <thead>
          <tr>{columns.map((one) => (
            <th key={one.id} scope="col" class={`${one.number ? "num " : ""}${one.class ?? ""}`} title={one.hint}
              aria-sort={column === one.id ? (down ? "descending" : "ascending") : undefined}>
              {one.value
                ? <button type="button" class="sort" onClick={() => setQuery({ [sortParameter]: next(one, column, down) }, "replace")}>
                    {one.head}{column === one.id ? <span aria-hidden="true">{down ? " ↓" : " ↑"}</span> : null}
                  </button>
                : one.head}
            </th>
          ))}</tr>
        </thead>
        <tbody ref={body}>
          {shown.map((row) => (
            <tr key={rowKey(row)} class={selected?.(row) ? "selected" : undefined} aria-current={selected?.(row) ? "true" : undefined}>
              {columns.map((one) => <td key={one.id} class={`${one.number ? "num " : ""}${one.class ?? ""}`}>{one.cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Numbers start descending, words ascending; a second press turns the order round. */
function next<T>(column: Column<T>, current: string, down: boolean): string {
  const first = column.number ? `-${column.id}` : column.id;
  if (current !== column.id) return first;
  return down ? column.id : `-${column.id}`;
}

function RowKeys({ body }: { body: { current: HTMLTableSectionElement | null } }) {
  const links = (): HTMLElement[] => Array.from(body.current?.querySelectorAll<HTMLElement>("[data-row]") ?? []);
  const move = (step: number): void => {
    const all = links();
    const row = document.activeElement?.closest("tr");
    const at = all.findIndex((link) => link.closest("tr") === row);
    const next = all[at < 0 ? (step > 0 ? 0 : all.length - 1) : Math.max(0, Math.min(all.length - 1, at + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };
  useKeys("Rows", [
    { keys: "j / ArrowDown", does: "next row", run: () => move(1) },
    { keys: "k / ArrowUp", does: "previous row", run: () => move(-1) },
    { keys: "o", does: "open the row in a new tab", run: () => {
      const row = document.activeElement?.closest("tr");
      const link = row?.querySelector<HTMLAnchorElement>("a[data-row]");
      if (link) open(link.href, "_blank", "noopener");
    } },
  ]);
  return null;
}

/** Downloads the columns that have a value. */
export function CsvButton<T>({ name, columns, rows }: { name: string; columns: Column<T>[]; rows: T[] }) {
  const save = (): void => {
    const shown = columns.filter((one) => one.value);
    const lines = rows.map((row) => shown.map((one) => one.value?.(row) ?? null));
    download(`${name}.csv`, "text/csv", csv([shown.map((one) => one.head), ...lines]));
  };
  return <button type="button" onClick={save} disabled={rows.length === 0} title="Download this table as CSV">CSV</button>;
}
