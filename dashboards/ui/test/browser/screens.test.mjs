// The four pages of objectives and deployments in each of their states, light and dark, wide and narrow: no console error, all text
// at least 4.5:1 on its ground, every control named, nothing that makes the page scroll sideways. DAYTWO_SHOTS keeps the pictures.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { nameless, settled, weakText } from "./audit.mjs";
import { launch, open } from "./browser.mjs";
import { start } from "./server.mjs";

const dist = process.env.DAYTWO_TEST_DIST ?? new URL("../../dist", import.meta.url).pathname;
const shots = process.env.DAYTWO_SHOTS;
const WIDTHS = [1600, 1280, 390];
let server;
let browser;
before(async () => { server = await start(dist); browser = await launch(); });
after(async () => { await browser?.close(); await server?.close(); });

const table = (name) => (page) => page.getByRole("table", { name, exact: true }).locator("tbody tr").first().waitFor();
const seen = (selector) => (page) => page.locator(selector).first().waitFor();
const charts = (size) => (page) => page.waitForFunction((wanted) => document.querySelectorAll(".u-wrap canvas").length >= wanted, size);
const verdict = (state) => async (page) => {
  await seen(`.banner .chip[data-state=${state}]`)(page);
  if (state !== "NO_DATA") await charts(state === "INHERITED" ? 1 : 2)(page);
  // What an INHERITED one shows first is its total time, of which no distribution is kept.
  if (state !== "NO_DATA" && state !== "INHERITED") await seen("svg.chart path")(page);
};
const flag = (state) => async (page) => { await seen(`.banner .chip[data-state=${state}]`)(page); await charts(1)(page); };
const drawer = (state) => async (page) => { await verdict(state)(page); await page.getByRole("dialog").waitFor(); };

/** Name of the picture, address, what must be there. */
const SCREENS = [
  ["slo", "/slo", table("Service level objectives")],
  ["slo-by-service", "/slo?view=service", table("Service level objectives by service")],
  ["slo-wall", "/slo?view=wall", seen(".wall li")],
  ["slo-kiosk", "/slo?view=wall&kiosk=1", seen(".wall li")],
  ["slo-filter-empty", "/slo?q=zzz", seen('.empty[data-why="filter"]')],
  ["slo-none-suggested", "/nodata/slo", table("Suggested objectives")],
  ["slo-partial", "/partial/slo", seen(".partial")],
  ["slo-many", "/many/slo", table("Service level objectives")],
  ["slo-many-wall", "/many/slo?view=wall", seen(".wall li")],
  ["slo-error", "/errors/slo", seen(".failure")],
  ["slo-detail-spent", "/slo/checkout-latency", charts(4)],
  ["slo-detail-burning", "/slo/payment-availability", charts(4)],
  ["slo-detail-journey", "/slo/checkout-joint", async (page) => { await table("Who is charged")(page); await table("Conditions")(page); await charts(4)(page); }],
  ["slo-detail-composite", "/slo/buying", async (page) => { await table("Members")(page); await charts(4)(page); }],
  ["slo-detail-low-traffic", "/slo/email-latency", charts(4)],
  ["slo-detail-no-data", "/slo/recommend-availability", charts(4)],
  ["slo-detail-error", "/errors/slo/checkout-latency", seen(".failure")],
  ["deployments", "/deployments", table("Deployments")],
  ["deployments-filter-empty", "/deployments?verdict=FAIL&q=zzz", seen('.empty[data-why="filter"]')],
  ["deployments-none", "/nodata/deployments", seen('.empty[data-why="no data"]')],
  ["deployments-many", "/many/deployments", table("Deployments")],
  ["deployments-error", "/errors/deployments", seen(".failure")],
  ["deployment-fail", "/deployments/checkout/v2.15.0", verdict("FAIL")],
  ["deployment-inherited", "/deployments/payment/v1.1.0", verdict("INHERITED")],
  ["deployment-pass", "/deployments/catalog/v1.2.0", verdict("PASS")],
  ["deployment-continue", "/deployments/inventory/v1.3.0", verdict("CONTINUE")],
  ["deployment-warn", "/deployments/pricing/v1.4.0", verdict("WARN")],
  ["deployment-inconclusive", "/deployments/shipping/v1.5.0", verdict("INCONCLUSIVE")],
  ["deployment-no-data", "/deployments/search/v1.6.0", verdict("NO_DATA")],
  ["deployment-noisy", "/deployments/cart/v1.7.0", verdict("NOISY")],
  ["deployment-confounded", "/deployments/auth/v1.8.0", verdict("CONFOUNDED")],
  ["deployment-skewed", "/deployments/gateway/v1.9.0", verdict("SKEWED")],
  ["flags", "/flags", table("Feature flags")],
  ["flags-none", "/nodata/flags", seen('.empty[data-why="no data"]')],
  ["flags-error", "/errors/flags", seen(".failure")],
  ["flag-fail", "/flags/new-tax", flag("FAIL")],
  ["flag-confounded", "/flags/beta-cart", flag("CONFOUNDED")],
  ["flag-skewed", "/flags/half-half", flag("SKEWED")],
  ["evidence-skewed", "/deployments/gateway/v1.9.0?evidence=1", drawer("SKEWED")],
  ["flag-continue", "/flags/banner", flag("CONTINUE")],
  ["flag-no-data", "/flags/one-sided", flag("NO_DATA")],
  ["deployment-error", "/errors/deployments/checkout/v2.15.0", seen(".failure")],
  ["evidence-fail", "/deployments/checkout/v2.15.0?evidence=1", drawer("FAIL")],
  ["evidence-inherited", "/deployments/payment/v1.1.0?evidence=1", drawer("INHERITED")],
  ["evidence-no-data", "/deployments/search/v1.6.0?evidence=1", drawer("NO_DATA")],
];

for (const theme of ["light", "dark"]) for (const [name, path, ready] of SCREENS) test(`${name} in ${theme}`, async () => {
  const { page, context, faults } = await open(browser, { theme, width: WIDTHS[0], still: true, expected: (text) => path.startsWith("/errors/") && /50[34]/.test(text) });
  try {
    await page.goto(server.url + path);
    await ready(page);
    // Widths do not depend on the theme: the dark ones are for the pictures.
    for (const width of theme === "light" || shots ? WIDTHS : WIDTHS.slice(0, 1)) {
      await page.setViewportSize({ width, height: 900 });
      assert.deepEqual(await settled(page), [], `${width} px`);
      if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}-${theme}-${width}.png`), fullPage: true }); }
    }
    assert.deepEqual(await weakText(page), []);
    if (theme === "light") assert.deepEqual(await nameless(page), []);
    assert.deepEqual(faults, []);
  } finally { await context.close(); }
});
