// Where the marks of the timeline stand. Pure, so that tests reach it.
import { nanoToMs } from "../core/time";
import type { Deployment } from "../core/types";

/** Lanes that are drawn; a taller strip would push the table off the screen. */
export const LANES_MAX = 8;
/** Marks of one lane; older ones are in the table. */
export const MARKS_MAX = 40;

export interface MarkAt { at: number; left: number; deployment: Deployment }
export interface Lane { service: string; marks: MarkAt[]; hidden: number }
export interface Timeline { from: number; to: number; lanes: Lane[]; more: number }

/** A lane for each of the services that changed last, marks from left (oldest) to right (now). */
export function timelineOf(deployments: Deployment[], nowMs: number): Timeline {
  const dated = deployments.map((deployment) => ({ deployment, at: nanoToMs(deployment.first_seen_unix_nano) ?? nowMs })).sort((a, b) => b.at - a.at);
  const byService = new Map<string, { deployment: Deployment; at: number }[]>();
  for (const one of dated) byService.set(one.deployment.service, [...byService.get(one.deployment.service) ?? [], one]);
  const chosen = [...byService].slice(0, LANES_MAX);
  const shown = chosen.flatMap(([, of]) => of.slice(0, MARKS_MAX));
  const from = Math.min(nowMs - 60_000, ...shown.map((one) => one.at));
  const size = nowMs - from;
  return {
    from, to: nowMs, more: byService.size - chosen.length,
    lanes: chosen.map(([service, of]) => ({
      service, hidden: Math.max(0, of.length - MARKS_MAX),
      marks: of.slice(0, MARKS_MAX).reverse().map(({ deployment, at }) => ({ at, deployment, left: Math.max(0, Math.min(1, (at - from) / size)) })),
    })),
  };
}

/** The mark that `key` leads to, as lane and place in it; undefined: not a key of the strip. */
export function moved(lanes: Lane[], lane: number, mark: number, key: string): [number, number] | undefined {
  const here = lanes[lane]?.marks ?? [];
  const down = key === "ArrowDown" ? 1 : key === "ArrowUp" ? -1 : 0;
  if (down !== 0) {
    const to = Math.max(0, Math.min(lanes.length - 1, lane + down));
    const left = here[mark]?.left ?? 0;
    const there = lanes[to]?.marks ?? [];
    const nearest = there.reduce((best, one, at) => (Math.abs(one.left - left) < Math.abs((there[best]?.left ?? 9) - left) ? at : best), 0);
    return [to, to === lane ? mark : nearest];
  }
  switch (key) {
    case "ArrowRight": return [lane, Math.min(here.length - 1, mark + 1)];
    case "ArrowLeft": return [lane, Math.max(0, mark - 1)];
    case "Home": return [lane, 0];
    case "End": return [lane, here.length - 1];
    default: return undefined;
  }
}
