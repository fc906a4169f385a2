// The four charts of an objective, with one cursor, its service's releases marked on each.
import { useMemo } from "preact/hooks";
import { Plot } from "../charts/plot";
import { digits, percent, short, target } from "../core/format";
import { useApi } from "../core/load";
import { env, href } from "../core/router";
import type { Deployment, Deployments, SloDetail } from "../core/types";
import { pathOf, queryOf } from "../core/url";
import { VerdictChip } from "../ui/chip";
import { Empty } from "../ui/panel";
import { chartsOf, marksIn } from "./series";

/** Marks on a chart; more would hide it. */
const MARKS_MAX = 6;
const ZERO = [{ value: 0, colour: "--bad" }];

export function Charts({ data }: { data: SloDetail }) {
  const { slo } = data;
  const released = useApi<Deployments>(`/deployments${queryOf({ service: slo.service, env: env.value })}`);
  const releases = (released.data?.deployments ?? []).filter((one) => one.kind !== "first");
  const stamp = `${slo.id}|${data.series.length}|${data.as_of_unix_nano}`;
  // Kept as long as the data are the same: the charts start over when what they draw changes.
  const drawn = useMemo(() => ({ ...chartsOf(data), target: [{ value: slo.target, colour: "--bad" }] }), [stamp]);
  const marks = useMemo(() => ({ budget: marksIn(drawn.budgetTimes, releases, MARKS_MAX), series: marksIn(drawn.times, releases, MARKS_MAX) }), [drawn, releases.length, releases[0]?.version]);
  if (drawn.times.length < 2 && drawn.budgetTimes.length < 2) return <Empty why="no data">Fewer than two points in the window; the charts begin with the second.</Empty>;
  const levels = drawn.levels.map((one) => digits(one.value)).join(", ");
  return (
    <>
      <Releases releases={releases} />
      <div class="columns charts">
        <section class="card"><h2>Error budget <span class="muted">over {slo.window}</span></h2><Plot name="error budget over time" times={drawn.budgetTimes} lines={drawn.budget} levels={ZERO} marks={marks.budget} format={(value) => percent(value)} /></section>
        <section class="card"><h2>SLI <span class="muted">dashed: target {target(slo.target)}</span></h2><Plot name="SLI over time" times={drawn.times} lines={drawn.sli} levels={drawn.target} marks={marks.series} format={(value) => `${digits(value * 100, 5)} %`} /></section>
        <section class="card"><h2>Burn rate <span class="muted">dashed: what alerts{levels ? ` at ${levels}` : ""}</span></h2><Plot name="burn rate over time" times={drawn.times} lines={drawn.burn} levels={drawn.levels} marks={marks.series} low={0} format={(value) => `${digits(value)}×`} /></section>
        <section class="card"><h2>Events <span class="muted">in each step</span></h2><Plot name="events over time" times={drawn.times} lines={drawn.events} marks={marks.series} low={0} format={(value) => short(value)} /></section>
      </div>
    </>
  );
}

/** The marked releases as links: the canvas has none. */
function Releases({ releases }: { releases: Deployment[] }) {
  if (releases.length === 0) return null;
  return (
    <p class="releases"><span class="muted">Releases marked in the charts:</span>{" "}
      {releases.slice(0, MARKS_MAX).map((one) => (
        <span key={`${one.environment}|${one.version}`} class="nowrap"><a href={href(pathOf("deployments", one.service, one.version), { env: one.environment || null })}>{one.version}</a> <VerdictChip state={one.state} /></span>
      ))}
      {releases.length > MARKS_MAX ? <a href={href("/deployments", { service: releases[0]?.service })}>all {releases.length}</a> : null}
    </p>
  );
}
