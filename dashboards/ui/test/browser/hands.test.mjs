// The pages of objectives, deployments and flags, and the evidence drawer, by keyboard alone, in light and dark.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { start } from "./server.mjs";
import { focused, walk } from "./walk.mjs";

const dist = process.env.DAYTWO_TEST_DIST ?? new URL("../../dist", import.meta.url).pathname;
let server;
let browser;
before(async () => { server = await start(dist); browser = await launch(); });
after(async () => { await browser?.close(); await server?.close(); });

const FAIL = "/deployments/checkout/v2.15.0";
const FLAG = "/flags/new-tax";
const table = (page, name) => page.getByRole("table", { name, exact: true });
const charts = (page, size) => page.waitForFunction((wanted) => document.querySelectorAll(".u-wrap canvas").length >= wanted, size);
const press = async (page, ...keys) => { for (const key of keys) await page.keyboard.press(key); };
/** Waits until the focus is where it should be: it moves once the page has drawn. */
const focusOn = (page, locator) => locator.evaluate((element) => new Promise((done, fail) => {
  const until = performance.now() + 10_000;
  const look = () => { if (document.activeElement === element) done(true); else if (performance.now() > until) fail(new Error(`the focus is on ${document.activeElement?.outerHTML.slice(0, 120)}`)); else requestAnimationFrame(look); };
  look();
}));

for (const theme of ["light", "dark"]) {
  /** Opens `path` without refresh (the page must hold still while it is walked), runs, and fails on anything the console saw. */
  const at = async (path, ready, run) => {
    const { page, context, faults } = await open(browser, { theme, still: true });
    try {
      await page.goto(`${server.url}${path}${path.includes("?") ? "&" : "?"}refresh=0`);
      await ready(page);
      await run(page);
      assert.deepEqual(faults, []);
    } finally { await context.close(); }
  };
  const rows = (name) => (page) => table(page, name).locator("tbody tr").first().waitFor();
  const detail = async (page) => { await page.locator("svg.chart path").first().waitFor(); await charts(page, 2); };

  test(`the skip link leads past the header in ${theme}`, () => at("/slo", rows("Service level objectives"), async (page) => {
    await press(page, "Tab");
    assert.equal(await focused(page), "a Skip to content");
    await press(page, "Enter");
    await focusOn(page, page.locator("main"));
    assert.equal(await page.evaluate(() => document.querySelector("header").contains(document.activeElement)), false);
  }));

  for (const [name, path, ready] of [
    ["the board", "/slo", rows("Service level objectives")], ["the board by service", "/slo?view=service", rows("Service level objectives by service")], ["the wall", "/slo?view=wall", (page) => page.locator(".wall li").first().waitFor()],
    ["an objective", "/slo/checkout-latency", (page) => charts(page, 4)], ["the deployments", "/deployments", rows("Deployments")], ["a deployment", FAIL, detail],
    ["the flags", "/flags", rows("Feature flags")], ["a flag", FLAG, async (page) => { await rows("Findings")(page); await charts(page, 1); }],
  ]) test(`Tab reaches everything on ${name}, in order, with a ring, in ${theme}`, () => at(path, ready, async (page) => {
    await walk(page, "body > div");
  }));

  test(`the board is filtered, sorted, seen in other ways, and left for an objective, in ${theme}`, () => at("/slo", rows("Service level objectives"), async (page) => {
    await page.getByRole("button", { name: /budget spent/ }).focus();
    await press(page, "Enter");
    await page.waitForURL(/state=spent/);
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
    await press(page, "Space");
    await page.waitForURL((url) => !url.search.includes("state="));
    await page.getByRole("button", { name: /^Events/ }).focus();
    await press(page, "Enter");
    await page.waitForURL(/sort=-events/);
    await press(page, "w");
    await table(page, "Service level objectives by service").waitFor();
    await press(page, "w");
    await page.locator(".wall li").first().waitFor();
    await press(page, "w");
    await rows("Service level objectives")(page);
    await page.locator("summary", { hasText: "no effect" }).focus();
    await press(page, "Enter");
    await page.getByText("AlertNotificationTarget").waitFor();
    await press(page, "j", "j", "k", "Enter");
    await page.waitForURL(/\/slo\/[\w-]+/);
    await charts(page, 4);
  }));

  test(`the charts of an objective are read by arrow keys, in ${theme}`, () => at("/slo/checkout-latency", (page) => charts(page, 4), async (page) => {
    const chart = page.getByRole("img", { name: /^burn rate over time/ });
    const said = page.locator(".card", { has: chart }).locator(".readout");
    await chart.focus();
    await press(page, "Home");
    await page.waitForFunction((element) => /long window .* short window/.test(element.textContent), await said.elementHandle());
    const first = await said.innerText();
    await press(page, "ArrowRight");
    await page.waitForFunction(([element, old]) => element.textContent !== old && element.textContent !== "", [await said.elementHandle(), first]);
    await press(page, "Escape");
    await page.waitForFunction((element) => element.textContent === "", await said.elementHandle());
    await page.getByRole("link", { name: "POST /checkout", exact: true }).focus();
    await press(page, "Enter");
    await page.waitForURL(/\/traces\?.*operation=/);
  }));

  test(`the timeline is one stop, arrows move in it, Enter opens, in ${theme}`, () => at("/deployments", rows("Deployments"), async (page) => {
    const strip = page.getByRole("group", { name: /^Deployments over time/ });
    assert.equal(await strip.locator("a[tabindex='0']").count(), 1);
    await strip.locator("a[tabindex='0']").focus();
    assert.match(await focused(page), /^a checkout v2\.15\.0: regressed/);
    await press(page, "ArrowDown");
    assert.match(await focused(page), /^a payment v1\.1\.0: inherited/);
    await press(page, "Enter");
    await page.waitForURL("**/deployments/payment/v1.1.0*");
    await page.getByRole("link", { name: "checkout v2.15.0" }).focus();
    await press(page, "Enter");
    await page.waitForURL("**/deployments/checkout/v2.15.0*");
    await page.locator(".banner .chip[data-state=FAIL]").waitFor();
  }));

  test(`a flag is opened, one of its services chosen, and left for an example trace, in ${theme}`, () => at("/flags", rows("Feature flags"), async (page) => {
    await press(page, "j", "j", "k", "Enter");
    await page.waitForURL("**/flags/new-tax*");
    await page.locator(".banner .chip[data-state=FAIL]").waitFor();
    const checkout = page.getByRole("button", { name: "checkout", exact: true });
    await checkout.focus();
    await press(page, "Enter");
    await page.waitForURL("**of=on%7Ccheckout*");
    await page.getByRole("heading", { name: /^checkout with on/ }).waitFor();
    await focusOn(page, checkout);
    await charts(page, 1);
    const chart = page.getByRole("img", { name: /^Share of the traces by variant/ });
    const said = page.locator(".card", { has: chart }).locator(".readout");
    await chart.focus();
    await press(page, "Home");
    await page.waitForFunction((element) => /off .* on /.test(element.textContent), await said.elementHandle());
    await page.getByRole("link", { name: /^[0-9a-f]{8}/ }).first().focus();
    await press(page, "Enter");
    await page.waitForURL("**/trace/*");
  }));

  test(`a long list is turned page by page, in ${theme}`, () => at("/many/deployments", rows("Deployments"), async (page) => {
    await page.getByText("rows 1 to 200 of 10,000").waitFor();
    await press(page, "n");
    await page.getByText("rows 201 to 400 of 10,000").waitFor();
    await page.waitForURL(/page=2/);
    await press(page, "p");
    await page.getByText("rows 1 to 200 of 10,000").waitFor();
  }));

  test(`the latency of a deployment is read by arrow keys, in ${theme}`, () => at(FAIL, detail, async (page) => {
    await page.getByRole("img", { name: /^self time of POST \/checkout/ }).focus();
    await press(page, "End", "ArrowLeft");
    await page.getByText(/at most this slow/).waitFor();
    await press(page, "Escape");
    await page.getByText(/use the arrow keys/).waitFor();
  }));

  test(`the evidence opens by e and by its button, keeps the focus, and gives it back, in ${theme}`, () => at(FAIL, detail, async (page) => {
    const row = page.getByRole("button", { name: "POST /checkout/confirm", exact: true });
    await row.focus();
    await press(page, "e");
    const drawer = page.getByRole("dialog", { name: /^Evidence/ });
    await drawer.waitFor();
    await page.waitForURL(/evidence=1/);
    await walk(page, "dialog.drawer");
    // Tab goes round inside: the page behind is never reached.
    for (let step = 0; step < 12; step += 1) {
      await press(page, "Tab");
      assert.equal(await page.evaluate(() => document.activeElement === document.body || document.querySelector("dialog.drawer").contains(document.activeElement)), true);
    }
    await press(page, "Escape");
    await drawer.waitFor({ state: "detached" });
    await page.waitForURL((url) => !url.search.includes("evidence"));
    await focusOn(page, row);
    const opener = page.getByRole("button", { name: /^Evidence/ });
    await opener.focus();
    await press(page, "Enter");
    await drawer.waitFor();
    await drawer.getByRole("button", { name: "Copy SQL" }).focus();
    await press(page, "Enter");
    await page.waitForFunction(async () => (await navigator.clipboard.readText()).startsWith("SELECT name"));
    await drawer.getByRole("button", { name: "checkout: GET /health" }).focus();
    await press(page, "Enter");
    await page.waitForURL(/op=.*health/);
    await drawer.getByRole("heading", { name: /^Test of checkout: GET \/health, self time/ }).waitFor();
    await page.reload();
    await drawer.getByRole("heading", { name: /^Test of checkout: GET \/health, self time/ }).waitFor();
    await press(page, "Escape");
    await drawer.waitFor({ state: "detached" });
    await focusOn(page, opener);
  }));

  test(`Back closes the evidence, in ${theme}`, () => at(FAIL, detail, async (page) => {
    const opener = page.getByRole("button", { name: /^Evidence/ });
    await opener.focus();
    await press(page, "Enter");
    const drawer = page.getByRole("dialog", { name: /^Evidence/ });
    await drawer.waitFor();
    await page.goBack();
    await drawer.waitFor({ state: "detached" });
    await focusOn(page, opener);
    assert.match(page.url(), /\/deployments\/checkout\/v2\.15\.0/);
  }));
}
