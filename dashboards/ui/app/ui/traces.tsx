// The columns of trace summaries, shared by search and by the bad traces of an SLO.
import { count, ms, shortId } from "../core/format";
import { now } from "../core/refresh";
import { href } from "../core/router";
import { dateTime, moment, nanoToMs } from "../core/time";
import type { TraceSummary } from "../core/types";
import { pathOf } from "../core/url";
import { serviceColour } from "../core/colour";
import type { Column } from "./table";

export const TRACE_COLUMNS: Column<TraceSummary>[] = [
  { id: "trace", head: "Trace", value: (one) => one.trace_id, cell: (one) => <a data-row class="mono" href={href(pathOf("trace", one.trace_id))} title={one.trace_id}>{shortId(one.trace_id)}</a> },
  { id: "root", head: "Root", class: "clip", value: (one) => `${one.root_service ?? ""} ${one.root_operation ?? ""}`, cell: (one) => (one.root_service === null ? <span class="muted">root not received</span> : <>{one.root_service} <span class="muted">{one.root_operation}</span></>) },
  { id: "start", head: "Start (UTC)", number: true, value: (one) => nanoToMs(one.start_unix_nano), cell: (one) => <span title={`${dateTime(nanoToMs(one.start_unix_nano))} UTC`}>{moment(one.start_unix_nano, now.value)}</span> },
  { id: "duration", head: "Trace duration", number: true, value: (one) => one.duration_ms, cell: (one) => <span title={`${one.duration_ms} ms`}>{ms(one.duration_ms)}</span> },
  { id: "spans", head: "Spans", number: true, value: (one) => one.spans, cell: (one) => count(one.spans) },
  { id: "matched", head: "Matched", number: true, hint: "spans that match the filter", value: (one) => one.matched_spans, cell: (one) => count(one.matched_spans) },
  { id: "errors", head: "Errors", number: true, value: (one) => one.errors, cell: (one) => (one.errors > 0 ? <span class="bad">✕ {count(one.errors)}</span> : <span class="muted">0</span>) },
  { id: "services", head: "Services", cell: (one) => <Strip one={one} /> },
];

function Strip({ one }: { one: TraceSummary }) {
  const total = one.services.reduce((sum, service) => sum + service.spans, 0) || 1;
  const text = one.services.map((service) => `${service.service} ${service.spans}`).join(", ");
  return (
    <span class="nowrap" title={text}>
      <span class="strip" role="img" aria-label={text}>{one.services.map((service) => <span key={service.service} style={{ width: `${(service.spans / total) * 100}%`, background: serviceColour(service.service) }} />)}</span>
      {" "}<span class="services">{one.services.length}</span>
    </span>
  );
}
