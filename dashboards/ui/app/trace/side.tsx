// The panel beside the waterfall: everything of one span, fetched when it is chosen.
import { useState } from "preact/hooks";
import type { ComponentChildren } from "preact";
import { digits, ms, ns, percent } from "../core/format";
import { useApi } from "../core/load";
import { href } from "../core/router";
import { copy } from "../core/share";
import { clock, dateTime, nanoToMs } from "../core/time";
import type { Attribute, SpanBody } from "../core/types";
import { pathOf } from "../core/url";
import { Panel } from "../ui/panel";
import { onPath, operationOf, serviceOf, type Model } from "./model";

interface Props { model: Model; row: number; close: () => void }

export function Side({ model, row, close }: Props) {
  const spanId = model.body.columns.span_id[row] ?? "";
  const load = useApi<SpanBody>(`${pathOf("traces", model.body.trace_id, "spans", spanId)}`, false);
  const length = model.length[row] ?? 0;
  const self = model.body.columns.self_ns[row] ?? 0;
  return (
    <aside class="side" aria-label="Span">
      <button type="button" class="close" onClick={close} aria-label="Close the span  Esc" title="Close  Esc">✕</button>
      <h2>{serviceOf(model, row)} <span class="muted">{operationOf(model, row)}</span></h2>
      <dl class="facts">
        <dt>Duration</dt><dd title={`${length} ns`}>{ns(length)} <span class="muted">{percent(length / model.durationNs)} of the trace</span></dd>
        <dt>Self time</dt><dd title={`${self} ns`}>{ns(self)} <span class="muted">{length > 0 ? percent(self / length) : "—"} of the span</span></dd>
        <dt>Starts at</dt><dd title={`${model.start[row]} ns`}>+{ns(model.start[row])}</dd>
        <dt>Critical path</dt><dd>{onPath(model, row) ? "runs through it" : "not through it"}</dd>
      </dl>
      <Panel load={load} rows={9}>{(body) => <Details body={body} />}</Panel>
    </aside>
  );
}

function Details({ body: { span } }: { body: SpanBody }) {
  const [filter, setFilter] = useState("");
  const wanted = (one: Attribute): boolean => `${one.key} ${text(one.value)}`.toLowerCase().includes(filter.toLowerCase());
  const start = nanoToMs(span.start_unix_nano) ?? 0;
  return (
    <>
      <dl class="facts">
        <dt>Span id</dt><dd><code>{span.span_id}</code> <button type="button" onClick={() => void copy(span.span_id, "the span id")}>copy</button></dd>
        <dt>Kind</dt><dd>{span.kind.toLowerCase()}</dd>
        <dt>Status</dt><dd class={span.status === "ERROR" ? "bad" : undefined}>{span.status === "ERROR" ? "✕ " : ""}{span.status.toLowerCase()}{span.status_message ? `: ${span.status_message}` : ""}</dd>
        <dt>Start</dt><dd title={span.start_unix_nano}>{dateTime(start)} UTC</dd>
        {span.service_version ? <><dt>Version</dt><dd><a class="version" href={href(pathOf("deployments", span.service, span.service_version))}>{span.service_version}</a></dd></> : null}
        {span.scope?.name ? <><dt>Scope</dt><dd>{span.scope.name} {span.scope.version}</dd></> : null}
      </dl>
      {span.anomalies.length > 0 ? <p class="warn">! {span.anomalies.join("; ")}</p> : null}
      <Section title="Attributes" size={span.attributes.length}>
        {span.attributes.length + span.resource.length > 8 ? <input type="search" placeholder="filter attributes…" aria-label="filter attributes" value={filter} onInput={(event) => setFilter(event.currentTarget.value)} /> : null}
        <Attributes of={span.attributes.filter(wanted)} service={span.service} />
      </Section>
      {span.events.length > 0 ? (
        <Section title="Events" size={span.events.length}>
          {span.events.map((event, at) => {
            const moment = nanoToMs(event.time_unix_nano) ?? 0;
            return <div key={at}><strong>{event.name}</strong> <span class="muted" title={`${clock(moment)} UTC`}>+{ms(moment - start)}</span><Attributes of={event.attributes} /></div>;
          })}
        </Section>
      ) : null}
      {span.links.length > 0 ? (
        <Section title="Links" size={span.links.length}>
          {span.links.map((link, at) => <div key={at}><a class="mono" href={href(pathOf("trace", link.trace_id), { span: link.span_id })}>{link.trace_id}</a><Attributes of={link.attributes} /></div>)}
        </Section>
      ) : null}
      <Section title="Resource" size={span.resource.length}><Attributes of={span.resource.filter(wanted)} /></Section>
    </>
  );
}

function Section({ title, size, children }: { title: string; size: number; children: ComponentChildren }) {
  return <section><h2>{title} <span class="muted">{digits(size)}</span></h2>{children}</section>;
}

/** With `service`, string values link to the traces that share them. */
function Attributes({ of, service }: { of: Attribute[]; service?: string }) {
  if (of.length === 0) return <p class="muted">none</p>;
  return (
    <table>
      <tbody>{of.map((one, at) => (
        <tr key={`${one.key}${at}`}>
          <td>{one.key}</td>
          <td title={one.type}>
            {text(one.value)}
            {service && one.type === "string" ? <> <a href={href("/traces", { service, attribute: `${one.key}=${text(one.value)}` })} title="find traces with this value" aria-label={`find traces with ${one.key} like this`}>⌕</a></> : null}
          </td>
        </tr>
      ))}</tbody>
    </table>
  );
}

function text(value: unknown): string {
  return typeof value === "string" ? value : value === null || value === undefined ? "" : JSON.stringify(value);
}
