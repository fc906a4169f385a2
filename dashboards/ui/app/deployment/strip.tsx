// The timeline above the list: a lane for each service, a mark for each deployment. One stop for Tab; arrow keys move inside.
import { useRef, useState } from "preact/hooks";
import { count } from "../core/format";
import { now } from "../core/refresh";
import { ago, dateTime } from "../core/time";
import type { Deployment } from "../core/types";
import { verdictLook } from "../ui/states";
import { deploymentHref } from "./href";
import { moved, timelineOf } from "./timeline";

export function Strip({ deployments }: { deployments: Deployment[] }) {
  const box = useRef<HTMLDivElement>(null);
  const line = timelineOf(deployments, now.value);
  const [[lane, mark], setAt] = useState<[number, number]>([0, Infinity]);
  const current = Math.min(lane, line.lanes.length - 1);
  const chosen: [number, number] = [current, Math.min(mark, (line.lanes[current]?.marks.length ?? 1) - 1)];
  const onKey = (event: KeyboardEvent): void => {
    const next = moved(line.lanes, ...chosen, event.key);
    if (!next) return;
    event.preventDefault();
    setAt(next);
    box.current?.querySelector<HTMLElement>(`[data-at="${next[0]}.${next[1]}"]`)?.focus();
  };
  if (line.lanes.length === 0) return null;
  return (
    <div class="card timeline" ref={box} role="group" aria-label="Deployments over time; arrow keys move between them" onKeyDown={onKey}>
      {line.lanes.map((one, row) => (
        <div class="lane" key={one.service}>
          <span class="lanename" title={one.service}>{one.service}</span>
          <span class="track">{one.marks.map(({ deployment, left }, at) => {
            const look = verdictLook(deployment.state);
            const label = `${one.service} ${deployment.version}: ${look.word}, ${dateTime(Number(deployment.first_seen_unix_nano) / 1e6)} UTC`;
            return (
              <a key={`${deployment.environment}|${deployment.version}`} class={`mark ${look.tone}`} style={{ left: `${(left * 100).toFixed(2)}%` }} href={deploymentHref(deployment)} data-at={`${row}.${at}`}
                tabIndex={row === chosen[0] && at === chosen[1] ? 0 : -1} title={label} aria-label={label} onFocus={() => setAt([row, at])}>
                <span aria-hidden="true">{look.glyph}</span>
              </a>
            );
          })}</span>
        </div>
      ))}
      <div class="lane"><span class="lanename muted">{line.more > 0 ? `+ ${count(line.more)} services` : ""}</span>
        <span class="ends muted"><span>{dateTime(line.from)} UTC, {ago(`${Math.floor(line.from)}000000`, now.value)}</span><span>now</span></span></div>
    </div>
  );
}
