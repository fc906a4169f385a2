// A panel owns one request: it shows a skeleton, its own error with Retry, what is missing, and otherwise its content.
import type { ComponentChildren } from "preact";
import { Component } from "preact";
import { advice, type ApiError } from "../core/api";
import type { Loaded } from "../core/load";
import { curl, copy } from "../core/share";
import type { Answer } from "../core/types";

interface Props<T> {
  load: Loaded<T>;
  /** Rows of the skeleton; the panel keeps about the height it will have. */
  rows?: number;
  children: (data: T) => ComponentChildren;
}

export function Panel<T extends Answer>({ load, rows = 5, children }: Props<T>) {
  const { data, error } = load;
  if (data === null) return error ? <Failure error={error} retry={load.retry} /> : <Skeleton rows={rows} />;
  return (
    <Boundary>
      {error ? <Failure error={error} retry={load.retry} small /> : null}
      <Partial notes={data.partial} />
      <div class={error ? "stale" : undefined} aria-busy={load.loading}>{children(data)}</div>
    </Boundary>
  );
}

export function Failure({ error, retry, small }: { error: ApiError; retry: () => void; small?: boolean }) {
  const path = error.url.replace(/^.*\/api\/v1/, "");
  return (
    <div class={`failure${small ? " small" : ""}`} role="alert">
      <strong>{error.status > 0 ? `${error.status} ${error.code}` : error.code}</strong>
      <span class="message">{error.message}</span>
      <span class="muted">{advice(error)}</span>
      {error.requestId ? <span class="muted">request <code>{error.requestId}</code></span> : null}
      <span class="actions">
        <button type="button" onClick={retry}>Retry</button>
        {error.status >= 0 ? <button type="button" onClick={() => void copy(curl(path), "cURL")}>Copy as cURL</button> : null}
      </span>
    </div>
  );
}

export function Skeleton({ rows }: { rows: number }) {
  return (
    <div class="skeleton" aria-label="loading" aria-busy="true" role="status">
      {Array.from({ length: rows }, (_, at) => <div key={at} style={{ width: `${94 - ((at * 17) % 40)}%` }} />)}
    </div>
  );
}

export function Partial({ notes }: { notes: string[] | undefined }) {
  if (!notes || notes.length === 0) return null;
  return (
    <div class="partial" role="note">
      <strong><span aria-hidden="true">◐</span> Incomplete:</strong> {notes.join(" · ")}
    </div>
  );
}

/** Why a list is empty, and what to do about it. */
export function Empty({ why, children }: { why: "no data" | "filter" | "range"; children: ComponentChildren }) {
  const title = why === "no data" ? "No data yet" : why === "filter" ? "The filter excludes everything" : "Nothing in this time range";
  return <div class="empty" data-why={why}><strong><span aria-hidden="true">○</span> {title}</strong><p>{children}</p></div>;
}

/** Keeps a fault in one panel from taking the page down. */
export class Boundary extends Component<{ children: ComponentChildren }, { fault: string | null }> {
  override state: { fault: string | null } = { fault: null };
  static override getDerivedStateFromError(fault: unknown) { return { fault: String(fault) }; }
  override render() {
    if (this.state.fault === null) return this.props.children;
    return (
      <div class="failure" role="alert">
        <strong>This panel failed</strong><span class="message">{this.state.fault}</span>
        <span class="actions"><button type="button" onClick={() => this.setState({ fault: null })}>Retry</button></span>
      </div>
    );
  }
}
