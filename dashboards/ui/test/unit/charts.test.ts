// Scales and ticks.
import assert from "node:assert/strict";
import { test } from "node:test";
import { linear, linePath, logarithmic, logTicks, ticks } from "../../app/charts/scale";

test("scales map both ways", () => {
  for (const scale of [linear(0, 200, 10, 110), logarithmic(1, 1000, 10, 110)]) {
    for (const value of [1, 7, 50, 199]) assert.ok(Math.abs(scale.invert(scale(value)) - value) < 1e-9);
  }
  assert.equal(linear(5, 5, 0, 10)(5), 0);
  assert.ok(Number.isFinite(logarithmic(0, 0, 0, 100)(0)));
  assert.equal(Math.round(logarithmic(1, 1000, 0, 300)(10)), 100);
});

test("ticks are round, inside and few", () => {
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(-0.18, 1, 4), [0, 0.5, 1]);
  assert.deepEqual(ticks(3, 3, 5), []);
  assert.deepEqual(ticks(0, 1, 0), []);
  for (const [low, high, most] of [[0, 4.031e9, 6], [1e-9, 2e-9, 4], [-7, 123456, 9]] as const) {
    const found = ticks(low, high, most);
    assert.ok(found.length > 1 && found.length <= most + 2, `${found}`);
    assert.ok(found.every((tick) => tick >= low - 1e-9 && tick <= high * 1.0001));
  }
});

test("logarithmic ticks thin out with room", () => {
  assert.deepEqual(logTicks(1, 1000, 4), [1, 10, 100, 1000]);
  assert.deepEqual(logTicks(1, 10, 9), [1, 2, 5, 10]);
  assert.ok(logTicks(1e-6, 1e6, 5).length <= 5);
  assert.deepEqual(logTicks(0, 10, 5), []);
});

test("a line breaks where nothing is known", () => {
  assert.equal(linePath([{ x: 0, y: 1 }, { x: 1, y: 2 }, { x: 2, y: null }, { x: 3, y: 4 }]), "M0.0 1.0L1.0 2.0M3.0 4.0");
  assert.equal(linePath([]), "");
});
