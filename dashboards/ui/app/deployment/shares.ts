// The share of the traffic as a line with gaps.
import { nanoToMs } from "../core/time";
import type { SharePoint } from "../core/types";

/** A step between points longer than this is a gap: minutes without any trace are left out of the answer. */
const GAP_S = 90;

export function withGaps(series: SharePoint[]): { times: number[]; values: (number | null)[] } {
  const times: number[] = [];
  const values: (number | null)[] = [];
  for (const point of series) {
    const at = (nanoToMs(point.t_unix_nano) ?? 0) / 1000;
    const before = times[times.length - 1];
    if (before !== undefined && at - before > GAP_S) { times.push(before + 60); values.push(null); }
    times.push(at);
    values.push(point.share);
  }
  return { times, values };
}
