// Small form parts shared by the list pages: the text filter and choice, both kept in the URL.
import type { ComponentChildren } from "preact";
import { query, setQuery } from "../core/router";

export function TextFilter({ name = "q", label }: { name?: string; label: string }) {
  return (
    <input type="search" class="filter" placeholder={label} aria-label={label} value={query.value[name] ?? ""}
      onInput={(event) => setQuery({ [name]: event.currentTarget.value || null }, "replace")} />
  );
}

export function Choice({ name, label, options }: { name: string; label: string; options: [string, string][] }) {
  return (
    <select aria-label={label} value={query.value[name] ?? ""} onChange={(event) => setQuery({ [name]: event.currentTarget.value || null })}>
      <option value="">{label}</option>
      {options.map(([value, text]) => <option key={value} value={value}>{text}</option>)}
    </select>
  );
}

/** Whether every word of `filter` is somewhere in the texts. */
export function matches(filter: string | undefined, ...texts: (string | null)[]): boolean {
  if (!filter) return true;
  const all = texts.join(" ").toLowerCase();
  return filter.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

/** The head of a page: title, a quiet remark, and controls to the right. */
export function Head({ title, note, children }: { title: ComponentChildren; note?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <div class="pagehead">
      <h1>{title}{note ? <span class="note"> {note}</span> : null}</h1>
      <div class="controls">{children}</div>
    </div>
  );
}

export function Bar({ fraction, tone, label }: { fraction: number | null; tone: string; label: string }) {
  if (fraction === null) return <span class="bar hatched" title={label} />;
  return (
    <span class="bar" title={label} role="img" aria-label={label}>
      <span class={tone} style={{ width: `${Math.max(0, Math.min(1, fraction)) * 100}%` }} />
    </span>
  );
}
