// How much of the service's traffic the version got, minute by minute.
import { useMemo } from "preact/hooks";
import { Plot } from "../charts/plot";
import type { Line } from "../charts/plot-options";
import { percent } from "../core/format";
import { nanoToMs } from "../core/time";
import type { Deployment, SharePoint } from "../core/types";
import { withGaps } from "./shares";

export function Rollout({ series, deployment }: { series: SharePoint[]; deployment: Deployment }) {
  const last = series[series.length - 1];
  const drawn = useMemo(() => {
    const { times, values } = withGaps(series);
    const line: Line = { label: `share of ${deployment.version}`, colour: "--after", values, fill: { to: 0, colour: "--after-soft" } };
    return { times, lines: [line], marks: [{ at: (nanoToMs(deployment.first_seen_unix_nano) ?? 0) / 1000, label: "first seen" }] };
  }, [series.length, last?.t_unix_nano, last?.share, deployment.version]);
  if (series.length < 2) return <p class="muted">Its share of the traffic is drawn from the second minute on{deployment.share !== null ? `; now it is ${percent(deployment.share)}` : ""}.</p>;
  return <Plot name={`share of the traffic that ${deployment.version} got`} times={drawn.times} lines={drawn.lines} marks={drawn.marks} low={0} height={132} format={(value) => percent(value)} />;
}
