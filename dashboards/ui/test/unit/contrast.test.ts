// Text colours reach WCAG AA (4.5:1) on every ground they appear on, in both themes.
import assert from "node:assert/strict";
import { test } from "node:test";
import css from "../../app/styles/tokens.css";

type Palette = Record<string, string>;

function palette(selector: string): Palette {
  const block = css.slice(css.indexOf(`${selector} {`)).split("}")[0] ?? "";
  return Object.fromEntries([...block.matchAll(/--([\w-]+):\s*(#[0-9a-f]{6})/g)].map((one) => [one[1] ?? "", one[2] ?? ""]));
}

function luminance(colour: string): number {
  const part = (at: number): number => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  };
  return 0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5);
}

function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return ((high ?? 0) + 0.05) / ((low ?? 0) + 0.05);
}

const GROUNDS = ["bg", "raised", "sunken", "accent-soft"];
const PAIRS: [string, string][] = [
  ...["text", "muted", "accent", "good", "bad", "warn", "none"].flatMap((ink) => GROUNDS.map((ground): [string, string] => [ink, ground])),
  ...["good", "bad", "warn", "info", "worst", "calm"].map((name): [string, string] => [name, `${name}-bg`]),
  ["bg", "accent"], ["bg", "text"], ["text", "bad-bg"],
];

for (const [name, selector] of [["light", ":root"], ["dark", ':root[data-theme="dark"]']] as const) {
  test(`contrast in ${name}`, () => {
    const colours = palette(selector);
    const weak = PAIRS.map(([ink, ground]) => ({ ink, ground, ratio: contrast(colours[ink] ?? "", colours[ground] ?? "") }))
      .filter((one) => !(one.ratio >= 4.5)).map((one) => `${one.ink} on ${one.ground}: ${one.ratio.toFixed(2)}`);
    assert.deepEqual(weak, []);
  });
}
