// First run: where to send spans, in copy-paste form, and a live answer to "did they arrive?".
import { useEffect, useState } from "preact/hooks";
import { getJson } from "../core/api";
import { count } from "../core/format";
import { useApi } from "../core/load";
import { href, query, setQuery } from "../core/router";
import { copy } from "../core/share";
import type { Status } from "../core/types";
import { LANGUAGES, snippet, testSpan } from "../core/snippets";
import { Head } from "../ui/filter";
import { Panel } from "../ui/panel";

/** How often this page looks for the first span, whatever the refresh choice is. */
const LOOK_MS = 2000;

export default function StartPage() {
  const load = useApi<Status>("/status");
  return (
    <>
      <Head title="Send your first spans" note="OpenTelemetry, straight to this server" />
      <Panel load={load} rows={10}>{(status) => <Shown status={status} />}</Panel>
    </>
  );
}

function Shown({ status }: { status: Status }) {
  const language = query.value["lang"] ?? "python";
  const http = reachable(status.otlp.http);
  const grpc = reachable(status.otlp.grpc);
  return (
    <div class="steps">
      <div class="card"><Waiting known={status.ingest.accepted_spans} /></div>
      <section class="card">
        <h2>1. The endpoints <span class="muted">https:// and a token where this server is set up for them</span></h2>
        <dl class="facts">
          <dt>OTLP/gRPC</dt><dd><code>http://{grpc}</code></dd>
          <dt>OTLP/HTTP</dt><dd><code>http://{http}/v1/traces</code> <span class="muted">protobuf or JSON; gzip, zstd</span></dd>
        </dl>
      </section>
      <section class="card">
        <h2>2. Point an exporter at it <span class="muted">service.name and service.version make the verdicts possible</span></h2>
        <div class="tabs" role="tablist">
          {LANGUAGES.map((one) => (
            <button key={one.id} type="button" role="tab" aria-selected={one.id === language} onClick={() => setQuery({ lang: one.id }, "replace")}>{one.name}</button>
          ))}
        </div>
        <Code text={snippet(language, grpc, http)} what="the configuration" />
      </section>
      <section class="card">
        <h2>3. Or send one span by hand</h2>
        <Code text={testSpan(http, Date.now())} what="the command" wrap />
      </section>
    </div>
  );
}

/** The server names its bound address; a page opened from elsewhere reaches it by the host of the page. */
function reachable(address: string): string {
  const port = /:(\d+)$/.exec(address)?.[1];
  const host = address.slice(0, address.lastIndexOf(":"));
  const anywhere = host === "0.0.0.0" || host === "[::]" || host === "::";
  return port && anywhere ? `${location.hostname}:${port}` : address;
}

function Waiting({ known }: { known: number }) {
  const [seen, setSeen] = useState(known);
  useEffect(() => {
    const timer = setInterval(() => {
      getJson<Status>("/status").then((status) => setSeen(status.ingest.accepted_spans)).catch(() => { /* the banner says that the server is gone */ });
    }, LOOK_MS);
    return () => clearInterval(timer);
  }, []);
  const total = Math.max(known, seen);
  if (total === 0) return <div class="waiting" role="status"><i aria-hidden="true" />Waiting for first span…</div>;
  return (
    <div class="waiting seen" role="status"><i aria-hidden="true" />
      <span><strong>{count(total)} spans have arrived.</strong> See the <a href={href("/services")}>services</a>, the <a href={href("/deployments")}>deployments</a> or the <a href={href("/traces")}>traces</a>.</span>
    </div>
  );
}

function Code({ text, what, wrap }: { text: string; what: string; wrap?: boolean }) {
  return <div class="copyable"><pre class={`code${wrap ? " wrap" : ""}`}>{text}</pre><button type="button" onClick={() => void copy(text, what)}>Copy</button></div>;
}
