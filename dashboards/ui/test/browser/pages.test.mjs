// Every page against the fixture server, in light and dark: rows, states, no console error, no markup from data.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, open } from "./browser.mjs";
import { BIG_TRACE, DEEP_TRACE, start } from "./server.mjs";

const dist = process.env.DAYTWO_TEST_DIST ?? new URL("../../dist", import.meta.url).pathname;
const shots = process.env.DAYTWO_SHOTS;
const SMALL_TRACE = "0af7651916cd43dd8448eb211c80319c";
let server;
let browser;
before(async () => { server = await start(dist); browser = await launch(); });
after(async () => { await browser?.close(); await server?.close(); });

/** Opens `path`, runs `check`, and fails on anything the console saw. */
async function visit(path, check, options = {}) {
  const { page, context, faults } = await open(browser, options);
  try {
    await page.goto(server.url + path);
    await check(page);
    if (shots && options.shot !== false) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${path.replace(/[^\w]+/g, "-").slice(1, 60) || "home"}-${options.theme ?? "light"}.png`) }); }
    assert.deepEqual(faults, []);
  } finally { await context.close(); }
}
const rows = (page, name) => page.getByRole("table", { name, exact: true }).locator("tbody tr");
const shown = (locator) => locator.first().waitFor();

const PAGES = [
  ["/", async (page) => { await page.waitForURL("**/slo"); await shown(rows(page, "Service level objectives")); }],
  ["/slo", async (page) => { await shown(rows(page, "Service level objectives")); assert.equal(await rows(page, "Service level objectives").count(), 14); }],
  ["/slo/checkout-latency", async (page) => { await shown(page.locator(".u-wrap canvas")); assert.equal(await page.locator(".u-wrap").count(), 4); assert.equal(await rows(page, "Burn alerts").count(), 4); assert.equal(await rows(page, "Traces that cost budget").count(), 6); }],
  ["/deployments", async (page) => { await shown(rows(page, "Deployments")); assert.equal(await rows(page, "Deployments").count(), 12); }],
  ["/deployments/checkout/v2.15.0", async (page) => {
    await shown(page.locator(".banner .chip[data-state=FAIL]"));
    assert.match(await page.locator(".headline").innerText(), /82.0 ms -> 131 ms/);
    assert.match(await page.locator(".banner").innerText(), /of the traffic, 50(\.0+)? % declared/);
    assert.equal(await rows(page, "Operations of the judged service").count(), 8);
    assert.equal(await rows(page, "Example traces").count(), 3);
    await shown(page.locator("svg.chart path"));
  }],
  ["/flags", async (page) => { await shown(rows(page, "Feature flags")); assert.equal(await rows(page, "Feature flags").count(), 5); assert.match(await rows(page, "Feature flags").first().innerText(), /new-tax/); }],
  ["/flags/new-tax", async (page) => {
    await shown(page.locator(".banner .chip[data-state=FAIL]"));
    assert.match(await page.locator(".headline").innerText(), /payment with new-tax=on made it worse/);
    assert.match(await page.locator(".banner").innerText(), /randomised: variants are drawn by lot/);
    assert.equal(await rows(page, "Services by variant").count(), 3);
    assert.ok(await rows(page, "Findings").count() >= 2);
    assert.equal(await rows(page, "Example traces").count(), 3);
    await shown(page.locator(".u-wrap canvas"));
    await page.getByRole("button", { name: "checkout", exact: true }).click();
    await page.waitForURL("**of=on%7Ccheckout*");
    await shown(page.getByRole("heading", { name: /checkout with on/ }));
  }],
  ["/flags/half-half", async (page) => {
    await shown(page.locator(".banner .chip[data-state=SKEWED]"));
    assert.match(await page.locator(".banner").innerText(), /traffic split 38 % where 10 % was declared[^]*not handed out as declared/);
    assert.match(await page.locator("main").innerText(), /38(\.0+)? % of 57,552 traces where 10(\.0+)? % was declared/);
    assert.equal(await rows(page, "Findings").locator(".chip[data-state=FAIL], .chip[data-state=PASS]").count(), 0);
    await shown(page.getByRole("link", { name: /^count the traces from/ }));
  }],
  ["/services", async (page) => { await shown(rows(page, "Services")); assert.equal(await rows(page, "Services").count(), 12); }],
  ["/services/checkout", async (page) => { await shown(rows(page, "Operations of checkout")); assert.equal(await rows(page, "Operations of checkout").count(), 4); }],
  ["/traces", async (page) => { await shown(rows(page, "Traces")); assert.equal(await rows(page, "Traces").count(), 50); }],
  [`/trace/${SMALL_TRACE}`, async (page) => { await shown(page.getByRole("row")); assert.ok(await page.getByRole("row").count() > 10); }],
  ["/sql?q=SELECT%201", async (page) => { await shown(rows(page, "Rows")); assert.equal(await rows(page, "Rows").count(), 12); assert.ok(await page.locator('a[href*="/trace/"]').count() >= 12); }],
  ["/status", async (page) => { await shown(page.locator(".chip[data-state=ready]")); assert.match(await page.locator("main").innerText(), /19 zero trace id/); }],
  ["/start", async (page) => { await shown(page.locator(".waiting.seen")); }],
];
for (const theme of ["light", "dark"]) for (const [path, check] of PAGES) test(`${path} in ${theme}`, () => visit(path, check, { theme }));

test("nothing received yet: the first-run page is home and watches for spans", () => visit("/empty/", async (page) => {
  await shown(page.getByText("Waiting for first span…"));
  assert.match(await page.locator("pre").first().innerText(), /OTEL_EXPORTER_OTLP_ENDPOINT=http:\/\/127\.0\.0\.1:4318/);
  await page.getByRole("tab", { name: "Collector" }).click();
  assert.match(await page.locator("pre").first().innerText(), /endpoint: 127\.0\.0\.1:4317/);
}));

test("empty lists say which kind of empty they are, and offer the way out", async () => {
  const cases = [["/nodata/deployments", "no data"], ["/nodata/slo", "no data"], ["/nodata/flags", "no data"], ["/flags?q=zzz", "filter"], ["/nodata/services", "range"], ["/nodata/traces", "range"], ["/traces?operation=nowhere", "filter"], ["/slo?q=zzz", "filter"], ["/deployments?q=zzz", "filter"], ["/services?q=zzz", "filter"]];
  for (const [path, why] of cases) await visit(path, async (page) => { await shown(page.locator(`.empty[data-why="${why}"]`)); });
  await visit("/traces?operation=nowhere", async (page) => {
    await page.getByRole("button", { name: "operation = nowhere" }).click();
    await shown(rows(page, "Traces"));
  });
});

test("what is not known is never green", () => visit("/slo", async (page) => {
  for (const state of ["no_data", "low_traffic"]) {
    const chip = page.locator(`tbody .chip[data-state=${state}]`).first();
    await chip.waitFor();
    assert.match(await chip.getAttribute("class"), /\bnone\b/);
    assert.equal(await page.locator("tr", { has: chip }).locator(".chip.burn, .bar .good").count(), 0);
  }
}));

test("a failing panel names status, message and request, and others live on", () => visit("/errors/deployments/checkout/v2.15.0", async (page) => {
  await shown(page.locator(".failure"));
  const text = await page.locator(".failure").first().innerText();
  for (const part of ["504", "timeout", "30 s", "01JTEST", "Retry", "cURL"]) assert.ok(text.includes(part), part);
  await page.getByRole("link", { name: "SQL", exact: true }).click();
  await shown(page.getByRole("textbox", { name: "SQL statement" }));
}, { expected: (text) => /50[34]/.test(text) }));

test("an incomplete answer says what is missing, and shows what is there", () => visit("/partial/services", async (page) => {
  await shown(page.locator(".partial"));
  assert.match(await page.locator(".partial").innerText(), /3 of 214 files cannot be read/);
  await shown(rows(page, "Services"));
}));

test("unknown things are 404 in words", async () => {
  const expected = (text) => /404/.test(text);
  await visit(`/trace/${"f".repeat(32)}`, async (page) => { await shown(page.locator(".failure")); assert.match(await page.locator(".failure").innerText(), /404 not_found/); }, { expected });
  await visit("/trace/xyz", async (page) => { await shown(page.getByText(/32 hexadecimal digits/)); });
  await visit("/nowhere/at/all", async (page) => { await shown(page.getByText("No such page")); });
});

test("a server that goes away is announced, and its return noticed", async () => {
  const own = await start(dist);
  const { page, context } = await open(browser);
  await page.goto(`${own.url}/services`);
  await shown(rows(page, "Services"));
  await context.route("**/api/**", (route) => route.abort());
  await page.keyboard.press("r");
  await shown(page.locator(".lost"));
  await shown(rows(page, "Services"));
  await context.unroute("**/api/**");
  await page.locator(".lost").waitFor({ state: "detached" });
  await context.close();
  await own.close();
});

test("50,000 spans: shown folded, opened whole, scrolled to the end", () => visit(`/trace/${BIG_TRACE}`, async (page) => {
  const grid = page.getByRole("treegrid");
  await shown(page.getByRole("row"));
  const folded = Number(await grid.getAttribute("aria-rowcount"));
  assert.ok(folded > 10 && folded < 10_000, `${folded} rows`);
  await page.getByRole("button", { name: "Unfold all" }).click();
  await page.waitForFunction(() => document.querySelector("[role=treegrid]")?.getAttribute("aria-rowcount") === "50000");
  assert.ok(await page.getByRole("row").count() < 120, "labels are virtual");
  await page.keyboard.press("End");
  await page.waitForFunction(() => Boolean(document.querySelector('[role=row][aria-rowindex="50000"][aria-selected=true]')));
  // Visual order and reading order are the same.
  const order = await page.getByRole("row").evaluateAll((all) => all.map((row) => Number(row.getAttribute("aria-rowindex"))));
  assert.deepEqual(order, [...order].sort((a, b) => a - b));
}));

test("a chain of 20,000 spans opens without overflowing the stack", () => visit(`/trace/${DEEP_TRACE}?fold=all`, async (page) => {
  await page.waitForFunction(() => document.querySelector("[role=treegrid]")?.getAttribute("aria-rowcount") === "20000");
}));

test("text from spans stays text", () => visit(`/trace/${SMALL_TRACE}?span=0000000000000004`, async (page) => {
  await shown(page.getByText("<img src=x onerror=alert(1)>"));
  assert.equal(await page.locator(".side img, .side b").count(), 0);
  assert.match(await page.locator(".side").innerText(), /card <b>declined<\/b>/);
}));

test("the address is the state: filter, sort, range, selection survive a reload", () => visit("/services", async (page) => {
  await page.getByRole("searchbox", { name: "filter…" }).fill("check");
  await page.getByRole("button", { name: "p99" }).click();
  await page.getByRole("button", { name: "last 1 h" }).click();
  await page.getByRole("button", { name: "last 6 h" }).click();
  await page.waitForURL(/q=check.*from=now-6h|from=now-6h.*q=check/);
  await page.reload();
  await shown(rows(page, "Services"));
  assert.equal(await rows(page, "Services").count(), 1);
  assert.equal(await page.getByRole("columnheader", { name: /p99/ }).getAttribute("aria-sort"), "descending");
  await shown(page.getByRole("button", { name: "last 6 h" }));
  assert.ok(server.requests.includes("/api/v1/services"));
}));

test("evidence says for how many traces the test was planned, and can be taken along: Markdown, SQL page", () => visit("/deployments/checkout/v2.15.0?evidence=1", async (page) => {
  await shown(page.getByText(/^16,000 traces of each version, where the test is sharpest/));
  await page.getByRole("button", { name: "Copy Markdown" }).click();
  await shown(page.getByText("Copied Markdown"));
  const text = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(text, /\*\*FAIL\*\* checkout v2\.14\.1 → v2\.15\.0/);
  await page.getByRole("link", { name: "Open in SQL" }).click();
  await shown(rows(page, "Rows"));
}, { shot: false }));

test("entry scripts stay below 30 KB compressed", async () => {
  const { page, context } = await open(browser);
  const loaded = [];
  page.on("response", (response) => { if (response.url().endsWith(".js")) loaded.push(response.url()); });
  await page.goto(`${server.url}/nowhere`);
  await shown(page.getByText("No such page"));
  const { gzipSync } = await import("node:zlib");
  let total = 0;
  for (const url of loaded) total += gzipSync(Buffer.from(await (await fetch(url)).arrayBuffer())).length;
  assert.ok(total <= 30 * 1024, `${total} bytes`);
  await context.close();
});
