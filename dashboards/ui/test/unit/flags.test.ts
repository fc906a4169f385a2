// What the pages of flags compute: lines over common minutes, and evidence in words.
import assert from "node:assert/strict";
import { test } from "node:test";
import { shareLines } from "../../app/flag/shares";
import { evidence } from "../../app/flag/words";

test("variants share their minutes; one without a trace in a minute has a gap there", () => {
  const point = (t: number, share: number) => ({ t_unix_nano: `${t}000000000`, share, traces: 1 });
  const drawn = shareLines([{ variant: "off", series: [point(60, 1), point(120, 0.5)] }, { variant: "on", series: [point(120, 0.5), point(180, 1)] }]);
  assert.deepEqual(drawn.times, [60, 120, 180]);
  assert.deepEqual(drawn.lines.map((line) => [line.label, line.values]), [["off", [1, 0.5, null]], ["on", [null, 0.5, 1]]]);
  assert.deepEqual(shareLines([]), { times: [], lines: [] });
});

test("evidence is short whatever its size", () => {
  assert.deepEqual([0.25, 1, 80, 240.4, 12_345, 8.1e12, 1e300].map(evidence), ["0.25", "1.0", "80", "240", "12,345", "10^12", "10^300"]);
});
