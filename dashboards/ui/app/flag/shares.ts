// The shares of a flag's variants as lines over common minutes. Pure, so that tests reach it.
import type { Line } from "../charts/plot-options";
import { nanoToMs } from "../core/time";
import type { FlagDetail } from "../core/types";

/** Colours of the variants in their order, the control first; further ones take the last. */
const COLOURS = ["--before", "--after", "--warn", "--info"];

export function shareLines(series: FlagDetail["share_series"]): { times: number[]; lines: Line[] } {
  const seconds = (t: string): number => (nanoToMs(t) ?? 0) / 1000;
  const times = [...new Set(series.flatMap((one) => one.series.map((point) => seconds(point.t_unix_nano))))].sort((a, b) => a - b);
  const lines = series.map((one, at) => {
    const known = new Map(one.series.map((point) => [seconds(point.t_unix_nano), point.share]));
    return { label: one.variant, colour: COLOURS[Math.min(at, COLOURS.length - 1)] ?? "--after", values: times.map((time) => known.get(time) ?? null) };
  });
  return { times, lines };
}
