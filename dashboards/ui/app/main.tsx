// Starts the page: theme, router, keys, refresh; then shows the page that the path names, each a chunk of its own.
import type { ComponentType } from "preact";
import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { startKeys } from "./core/keys";
import { startRefresh } from "./core/refresh";
import { here, href, startRouter } from "./core/router";
import { startTheme } from "./core/theme";
import { match } from "./core/url";
import { Boundary, Skeleton } from "./ui/panel";
import { Shell } from "./ui/shell";

type Parameters = Record<string, string>;
type PageModule = { default: ComponentType<{ parameters: Parameters }> };

const ROUTES: { pattern: string; title: string; load: () => Promise<PageModule> }[] = [
  { pattern: "/", title: "Home", load: () => import("./pages/home") },
  { pattern: "/slo", title: "SLOs", load: () => import("./pages/slo-board") },
  { pattern: "/slo/:id", title: "SLO", load: () => import("./pages/slo-detail") },
  // What alerts link to.
  { pattern: "/slos/:id", title: "SLO", load: () => import("./pages/slo-detail") },
  { pattern: "/deployments", title: "Deployments", load: () => import("./pages/deployments") },
  { pattern: "/deployments/:service/:version", title: "Deployment", load: () => import("./pages/deployment") },
  { pattern: "/flags", title: "Flags", load: () => import("./pages/flags") },
  { pattern: "/flags/:key", title: "Flag", load: () => import("./pages/flag") },
  { pattern: "/services", title: "Services", load: () => import("./pages/services") },
  { pattern: "/services/:service", title: "Service", load: () => import("./pages/service") },
  { pattern: "/traces", title: "Traces", load: () => import("./pages/traces") },
  { pattern: "/trace/:id", title: "Trace", load: () => import("./pages/trace") },
  { pattern: "/sql", title: "SQL", load: () => import("./pages/sql") },
  { pattern: "/status", title: "Status", load: () => import("./pages/status") },
  { pattern: "/start", title: "Getting started", load: () => import("./pages/start") },
];

function App() {
  const path = here.value.path;
  for (const route of ROUTES) {
    const parameters = match(route.pattern, path);
    if (parameters) return <Shell><Lazy key={route.pattern} route={route} parameters={parameters} /></Shell>;
  }
  return (
    <Shell>
      <div class="empty"><strong>No such page</strong><p><code>{path}</code> names nothing here. Try <a href={href("/slo")}>SLOs</a>, <a href={href("/deployments")}>deployments</a> or <a href={href("/traces")}>traces</a>.</p></div>
    </Shell>
  );
}

function Lazy({ route, parameters }: { route: (typeof ROUTES)[number]; parameters: Parameters }) {
  const [page, setPage] = useState<PageModule | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => {
    let wanted = true;
    route.load().then((module) => { if (wanted) setPage(module); }, (error: unknown) => { if (wanted) setProblem(String(error)); });
    return () => { wanted = false; };
  }, [route]);
  const subject = Object.values(parameters).join(" ");
  useEffect(() => { document.title = `${subject || route.title} · Daytwo`; }, [subject, route]);
  if (problem) {
    // After an upgrade the old chunk names are gone: a reload fetches the new page.
    return <div class="failure" role="alert"><strong>This page did not load</strong><span class="message">{problem}</span><span class="actions"><button type="button" onClick={() => location.reload()}>Reload</button></span></div>;
  }
  if (!page) return <Skeleton rows={8} />;
  const Page = page.default;
  return <Boundary key={here.value.path}><Page parameters={parameters} /></Boundary>;
}

startTheme();
startRouter();
startKeys();
startRefresh();
const root = document.getElementById("app");
if (root) render(<App />, root);
