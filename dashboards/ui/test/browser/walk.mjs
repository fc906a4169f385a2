// Walks a page by Tab alone, as somebody without a mouse does.
import assert from "node:assert/strict";

/** More stops than any page of the fixtures has. */
const STOPS_MAX = 400;

/** Marks every control that Tab should reach within `scope` and returns how many there are. */
function mark(page, scope) {
  return page.evaluate((selector) => {
    const wanted = "a[href], button:not(:disabled), input:not(:disabled), select:not(:disabled), textarea, summary, [tabindex='0']";
    const inside = [...document.querySelector(selector).querySelectorAll(wanted)].filter((one) => one.tabIndex >= 0 && one.checkVisibility());
    inside.forEach((one, at) => { one.dataset.stop = String(at); });
    return inside.length;
  }, scope);
}

/**
 * Presses Tab until the focus has left `scope` or come round, and insists that every control was reached, in reading order, each with a
 * ring around it. The focus must be before the scope or on its first control.
 */
export async function walk(page, scope) {
  const size = await mark(page, scope);
  assert.ok(size > 0, `nothing to reach in ${scope}`);
  const reached = [];
  for (let step = 0; step < STOPS_MAX && reached.length < size; step += 1) {
    const here = await page.evaluate((selector) => {
      const at = document.activeElement;
      const style = at ? getComputedStyle(at) : null;
      return { stop: at?.closest(selector) ? at.dataset.stop ?? null : null, ring: style !== null && style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 1, html: at?.outerHTML.slice(0, 100) ?? "" };
    }, scope);
    if (here.stop !== null && !reached.includes(Number(here.stop))) {
      assert.ok(here.ring, `no ring around ${here.html}`);
      reached.push(Number(here.stop));
    }
    if (reached.length < size) await page.keyboard.press("Tab");
  }
  const missed = await page.evaluate(([selector, seen]) => [...document.querySelector(selector).querySelectorAll("[data-stop]")].filter((one) => !seen.includes(Number(one.dataset.stop))).map((one) => one.outerHTML.slice(0, 100)), [scope, reached]);
  assert.deepEqual(missed, [], `reached ${reached.length} of ${size}`);
  assert.deepEqual(reached, [...reached].sort((a, b) => a - b), "the order of Tab is the reading order");
  return size;
}

/** What has the focus: its tag and its name. */
export function focused(page) {
  return page.evaluate(() => { const at = document.activeElement; return at ? `${at.tagName.toLowerCase()} ${at.getAttribute("aria-label") ?? at.textContent.trim()}` : ""; });
}
