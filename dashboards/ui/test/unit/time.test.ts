// Times of the URL and the picker.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ago, dateTime, moment, nanoToMs, parseTime, rangeLabel, rangeProblem, shift, zoomOut } from "../../app/core/time";

const NOW = Date.UTC(2026, 10, 22, 14, 32, 5);

test("every spelling of a time is read", () => {
  const table: [string, number | null][] = [
    ["now", NOW], ["now-15m", NOW - 900_000], ["now-28d", NOW - 28 * 86_400_000], [String(NOW), NOW], [" now ", NOW],
    ["2026-11-22T14:32:05Z", NOW], ["2026-11-22 14:32:05", NOW], ["2026-11-22 14:32", NOW - 5000], ["2026-11-22", Date.UTC(2026, 10, 22)],
    ["2026-11-22T15:32:05+01:00", NOW], ["", null], ["now-", null], ["now+1h", null], ["yesterday", null], ["2026-13-45", null], ["12", null],
  ];
  for (const [text, expected] of table) assert.equal(parseTime(text, NOW), expected, text);
});

test("a range that cannot be is named", () => {
  assert.equal(rangeProblem("now-1h", "now", NOW), null);
  assert.ok(rangeProblem("soon", "now", NOW)?.includes("soon"));
  assert.equal(rangeProblem("now", "now-1h", NOW), "the range ends before it starts");
  assert.equal(rangeLabel("now-1h", "now"), "last 1 h");
  assert.equal(rangeLabel(String(NOW), "now"), "2026-11-22 14:32:05 – now");
});

test("moving keeps the length and stays out of the future", () => {
  const hour = 3_600_000;
  assert.deepEqual(shift("now-1h", "now", -1, NOW), { from: String(NOW - 1.5 * hour), to: String(NOW - 0.5 * hour) });
  assert.deepEqual(shift("now-1h", "now", 1, NOW), { from: String(NOW - hour), to: String(NOW) });
  assert.deepEqual(zoomOut("now-2h", "now-1h", NOW), { from: String(NOW - 2.5 * hour), to: String(NOW - 0.5 * hour) });
});

test("nanoseconds beyond 2^53 keep their microseconds", () => {
  assert.equal(nanoToMs("1795357925123456789"), 1795357925123.4568);
  assert.equal(nanoToMs("-5000000"), -5);
  for (const text of [null, undefined, "", "12x", "1.5"]) assert.equal(nanoToMs(text), null);
});

test("labels are UTC and 24 h", () => {
  assert.equal(dateTime(NOW), "2026-11-22 14:32:05");
  assert.equal(dateTime(null), "—");
  assert.equal(dateTime(9e15), "—");
  assert.equal(moment(`${NOW}123000`.replace("123000", "000000"), NOW), "14:32:05.000");
  assert.equal(moment(`${NOW - 86_400_000}000000`, NOW), "11-21 14:32:05.000");
});

test("ages read as people say them", () => {
  const at = (seconds: number): string => ago(`${NOW - seconds * 1000}000000`, NOW);
  assert.deepEqual([at(-5), at(0.5), at(59), at(61), at(7200), at(3 * 86_400)], ["now", "now", "59 s ago", "1 m ago", "2 h ago", "3 d ago"]);
  assert.equal(ago(null, NOW), "—");
});
