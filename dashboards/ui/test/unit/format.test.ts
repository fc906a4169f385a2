// Numbers as text: units, three significant digits, unknown is never zero.
import assert from "node:assert/strict";
import { test } from "node:test";
import { bytes, change, count, digits, ms, nines, percent, points, short, span, target } from "../../app/core/format";

test("durations pick the unit that reads best", () => {
  const table: [number | null, string][] = [
    [null, "—"], [0, "0 ms"], [0.0000005, "0.5 ns"], [0.000419, "419 ns"], [0.419, "419 µs"], [1, "1 ms"], [43.21, "43.2 ms"], [999.4, "999 ms"],
    [1234, "1.23 s"], [59_999, "60 s"], [61_000, "1 m 1 s"], [3_600_000, "1 h"], [Number.NaN, "—"], [-2500, "-2.5 s"],
  ];
  for (const [value, text] of table) assert.equal(ms(value), text, String(value));
});

test("digits never exceed three and never use an exponent", () => {
  const table: [number, string][] = [[0, "0"], [1, "1"], [1234, "1230"], [12.345, "12.3"], [0.012345, "0.0123"], [123456789, "123000000"], [1e-9, "0.000000001"], [-0.5, "-0.5"]];
  for (const [value, text] of table) assert.equal(digits(value), text);
});

test("unknown is a dash in every format", () => {
  for (const show of [ms, count, short, span, percent, nines, change, points, bytes]) {
    assert.equal(show(null), "—");
    assert.equal(show(undefined), "—");
    assert.equal(show(Number.NaN), "—");
  }
});

test("an objective that is not met never rounds up to one that is", () => {
  assert.equal(nines(0.999), "99.900 %");
  assert.equal(nines(0.9999), "99.990 %");
  assert.equal(nines(0.99999), "99.9990 %");
  assert.equal(nines(0.99999999), "99.9999990 %");
  assert.equal(nines(1), "100 %");
  assert.equal(nines(0.98819999), "98.819 %");
  for (const value of [0.9, 0.99, 0.999, 0.9999999]) assert.ok(Number.parseFloat(nines(value)) <= value * 100 + 1e-9);
  assert.equal(target(0.999), "99.9 %");
});

test("changes carry their sign and points their name", () => {
  assert.equal(change(0.62), "+62 %");
  assert.equal(change(-0.18), "−18 %");
  assert.equal(change(0.004), "+0.4 %");
  assert.equal(change(-0.0001), "0 %");
  assert.equal(change(12.3), "+1,230 %");
  assert.equal(points(0.019), "+1.9 pp");
  assert.equal(points(0), "0 pp");
  assert.equal(percent(-0.18), "−18 %");
});

test("counts, sizes and spans of time", () => {
  assert.equal(count(5891496), "5,891,496");
  assert.equal(count(-1234), "-1,234");
  assert.equal(short(1_234_567), "1.23 M");
  assert.equal(bytes(1536), "1.5 KiB");
  assert.equal(bytes(0), "0 B");
  assert.equal(span(19_200), "5 h 20 m");
  assert.equal(span(86_400 * 3 + 5), "3 d");
  assert.equal(span(59), "59 s");
});
