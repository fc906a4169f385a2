// The same pages against a running server: DAYTWO_URL=http://127.0.0.1:PORT npm run test:live
// Meant for a server that has judged a bad release (`daytwo demo` about a minute in). Screenshots go to DAYTWO_SHOTS when set.
// DAYTWO_BAD_SERVICE names the service whose release must show as regressed; without it any FAIL will do.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { launch, open } from "./browser.mjs";

const base = (process.env.DAYTWO_URL ?? "").replace(/\/$/, "");
const shots = process.env.DAYTWO_SHOTS;
let browser;
before(async () => {
  assert.ok(base, "set DAYTWO_URL to the address of a running server, for example http://127.0.0.1:8080");
  browser = await launch();
});
after(async () => { await browser?.close(); });

async function api(path) {
  const answer = await fetch(`${base}/api/v1${path}`);
  assert.equal(answer.status, 200, `GET ${path}`);
  return answer.json();
}

/** Opens a page in one theme, checks it, takes its picture, and fails on anything the console saw. */
async function visit(name, path, check, theme = "light") {
  const { page, context, faults } = await open(browser, { theme });
  page.setDefaultTimeout(30_000);
  try {
    await page.goto(base + path);
    await check(page);
    assert.equal(await page.locator(".failure:not(.problems), .lost").count(), 0, await page.locator(".failure, .lost").allInnerTexts().then(String));
    if (shots) { mkdirSync(shots, { recursive: true }); await page.screenshot({ path: join(shots, `${name}-${theme}.png`) }); }
    assert.deepEqual(faults, [], `${path} in ${theme}`);
  } finally { await context.close(); }
}
const both = async (name, path, check) => { for (const theme of ["light", "dark"]) await visit(name, path, check, theme); };
const someRows = (name) => async (page) => { await page.getByRole("table", { name, exact: true }).locator("tbody tr").first().waitFor(); };

test("the board or the deployments are home", () => both("home", "/", async (page) => { await page.waitForURL(/\/(slo|deployments)(\?|$)/); await page.locator("main table tbody tr").first().waitFor(); }));
test("SLO board", async () => {
  const { slos } = await api("/slos");
  await both("slo", "/slo", slos.length > 0 ? someRows("Service level objectives") : async (page) => { await page.locator(".empty").waitFor(); });
});
test("SLO detail", async () => {
  const { slos } = await api("/slos");
  if (slos.length === 0) return;
  await both("slo-detail", `/slo/${encodeURIComponent(slos[0].id)}`, someRows("Burn alerts"));
});
test("deployments", () => both("deployments", "/deployments", someRows("Deployments")));
test("flags", async () => {
  const { flags } = await api("/flags");
  if (flags.length === 0) return;
  await both("flags", "/flags", someRows("Feature flags"));
  await both("flag", `/flags/${encodeURIComponent(flags[0].key)}`, someRows("Services by variant"));
});
test("the bad release is shown as regressed, with findings, a distribution and example traces", async () => {
  const { deployments } = await api("/deployments");
  const wanted = process.env.DAYTWO_BAD_SERVICE;
  const bad = deployments.find((one) => one.state === "FAIL" && (!wanted || one.service === wanted));
  assert.ok(bad, `no FAIL among ${deployments.map((one) => `${one.service} ${one.version} ${one.state}`).join(", ")}`);
  const path = `/deployments/${encodeURIComponent(bad.service)}/${encodeURIComponent(bad.version)}${bad.environment ? `?env=${encodeURIComponent(bad.environment)}` : ""}`;
  await both("deployment", path, async (page) => {
    await page.locator(".banner .chip[data-state=FAIL]").waitFor();
    assert.ok((await page.locator(".headline").innerText()).length > 10);
    await someRows("Operations of the judged service")(page);
    await someRows("Example traces")(page);
    await page.locator("svg.chart path").first().waitFor();
  });
  await visit("deployment-to-trace", path, async (page) => {
    await page.getByRole("table", { name: "Example traces" }).getByRole("link").first().click();
    await page.waitForURL("**/trace/*");
    await page.getByRole("row").first().waitFor();
  });
});
test("services and one service", async () => {
  await both("services", "/services", someRows("Services"));
  const { services } = await api("/services");
  await visit("service", `/services/${encodeURIComponent(services[0].service)}`, someRows(`Operations of ${services[0].service}`));
});
test("trace search, a trace, and one span of it", async () => {
  await both("traces", "/traces", someRows("Traces"));
  const { traces } = await api("/traces?limit=20");
  const largest = traces.toSorted((a, b) => b.spans - a.spans)[0];
  await both("trace", `/trace/${largest.trace_id}`, async (page) => {
    await page.getByRole("row").first().waitFor();
    await page.keyboard.press("j");
    await page.keyboard.press("Enter");
    await page.locator(".side h2", { hasText: "Attributes" }).waitFor();
  });
});
test("SQL", () => both("sql", `/sql?q=${encodeURIComponent("SELECT service_name, count(*) AS spans FROM spans GROUP BY service_name ORDER BY spans DESC LIMIT 20")}`, someRows("Rows")));
test("status and getting started", async () => {
  await both("status", "/status", async (page) => { await page.locator(".banner .chip.large").waitFor(); });
  await both("start", "/start", async (page) => { await page.locator(".waiting.seen").waitFor(); });
});
