// One table for all lists: real <table>, sortable heads and pages (kept in the URL), j/k between rows, CSV of what is shown.
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { useKeys } from "../core/keys";
import { count } from "../core/format";
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
  /** As of `sort`, for the page of a long table. */
  pageParameter?: string;
  keys?: boolean;
}

/** Rows on a page of a long table: more would make the browser slow before they make a reader wiser. */
const PAGE_ROWS = 200;

export function DataTable<T>({ name, columns, rows, rowKey, sort, selected, sortParameter = "sort", pageParameter = "page", keys = true }: Props<T>) {
  const body = useRef<HTMLTableSectionElement>(null);
  const order = query.value[sortParameter] ?? sort ?? "";
  const [column, down] = order.startsWith("-") ? [order.slice(1), true] : [order, false];
  const by = columns.find((one) => one.id === column)?.value;
  const sorted = by ? sortRows(rows, by, down) : rows;
  const pages = Math.max(1, Math.ceil(sorted.length / PAGE_ROWS));
  const page = Math.min(pages, Math.max(1, Math.floor(Number(query.value[pageParameter])) || 1));
  const shown = pages > 1 ? sorted.slice((page - 1) * PAGE_ROWS, page * PAGE_ROWS) : sorted;
  return (
    <>
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
    {pages > 1 ? <Pages name={name} page={page} pages={pages} rows={sorted.length} parameter={pageParameter} keys={keys} /> : null}
    </>
  );
}

function Pages({ name, page, pages, rows, parameter, keys }: { name: string; page: number; pages: number; rows: number; parameter: string; keys: boolean }) {
  const turn = (to: number): void => setQuery({ [parameter]: to <= 1 ? null : String(Math.min(pages, to)) });
  useKeys("Pages", keys ? [{ keys: "n", does: "next page of the table", run: () => turn(page + 1) }, { keys: "p", does: "previous page of the table", run: () => turn(page - 1) }] : []);
  return (
    <nav class="pages" aria-label={`Pages of ${name}`}>
      <button type="button" disabled={page <= 1} onClick={() => turn(page - 1)}>‹ Previous</button>
      <span role="status">rows {count((page - 1) * PAGE_ROWS + 1)} to {count(Math.min(rows, page * PAGE_ROWS))} of {count(rows)}</span>
      <button type="button" disabled={page >= pages} onClick={() => turn(page + 1)}>Next ›</button>
    </nav>
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
