// Without a mouse: every verdict can be reached, and every page left again.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { launch, open } from "./browser.mjs";
import { start } from "./server.mjs";

const dist = process.env.DAYTWO_TEST_DIST ?? new URL("../../dist", import.meta.url).pathname;
let server;
let browser;
before(async () => { server = await start(dist); browser = await launch(); });
after(async () => { await browser?.close(); await server?.close(); });

async function at(path, run) {
  const { page, context, faults } = await open(browser);
  try {
    await page.goto(server.url + path);
    await page.locator("main table, main [role=treegrid], main textarea").first().waitFor();
    await run(page, page.keyboard);
    assert.deepEqual(faults, []);
  } finally { await context.close(); }
}
const press = async (keyboard, ...keys) => { for (const key of keys) await keyboard.press(key); };

test("from the board to the verdict to its trace", () => at("/slo", async (page, keyboard) => {
  await press(keyboard, "g", "d");
  await page.waitForURL("**/deployments");
  await page.getByRole("table", { name: "Deployments" }).waitFor();
  await press(keyboard, "j", "j", "k", "Enter");
  await page.waitForURL("**/deployments/checkout/v2.15.0*");
  await page.locator(".banner .chip[data-state=FAIL]").waitFor();
  await press(keyboard, "j", "j", "j", "j", "Enter");
  await page.waitForURL(/op=/);
  await page.locator("tr.selected", { hasText: "POST /checkout/confirm" }).waitFor();
  await page.getByRole("link", { name: /^[0-9a-f]{8}/ }).first().focus();
  await press(keyboard, "Enter");
  await page.waitForURL("**/trace/*");
}));

test("letters go to pages, not into the jump box's neighbours", () => at("/slo", async (page, keyboard) => {
  for (const [key, path] of [["t", "/traces"], ["q", "/sql"], ["s", "/slo"], ["v", "/services"], ["i", "/status"]]) {
    await page.evaluate(() => document.activeElement?.blur());
    await press(keyboard, "g", key);
    await page.waitForURL(`**${path}`);
  }
}));

test("the jump box finds a service, a page and a trace id", () => at("/slo", async (page, keyboard) => {
  await press(keyboard, "/");
  await keyboard.type("invent");
  await page.getByRole("option", { name: /inventory/ }).waitFor();
  await press(keyboard, "Enter");
  await page.waitForURL("**/services/inventory");
  await press(keyboard, "/");
  await keyboard.type("0AF7651916cd43dd8448eb211c80319c");
  await press(keyboard, "Enter");
  await page.waitForURL("**/trace/0af7651916cd43dd8448eb211c80319c");
}));

test("the trace: move, fold, zoom, find, open, close", () => at("/trace/0af7651916cd43dd8448eb211c80319c", async (page, keyboard) => {
  const grid = page.getByRole("treegrid");
  const total = Number(await grid.getAttribute("aria-rowcount"));
  const selected = () => page.locator("[role=row][aria-selected=true]").getAttribute("aria-rowindex");
  await press(keyboard, "j");
  await page.locator("[role=row][aria-selected=true]").waitFor();
  assert.equal(await selected(), "1");
  await press(keyboard, "h");
  await page.waitForFunction(() => document.querySelector("[role=treegrid]").getAttribute("aria-rowcount") === "1");
  await press(keyboard, "l");
  await page.waitForFunction((all) => document.querySelector("[role=treegrid]").getAttribute("aria-rowcount") === String(all), total);
  await press(keyboard, "j", "j", "f");
  await page.waitForURL(/zoom=\d+-\d+/);
  await press(keyboard, "w", "d", "a", "s", "0");
  await page.waitForURL((url) => !url.search.includes("zoom="));
  await press(keyboard, "Enter");
  await page.locator(".side").waitFor();
  await page.waitForURL(/span=/);
  await press(keyboard, "Escape");
  await page.locator(".side").waitFor({ state: "detached" });
  await press(keyboard, "c");
  await page.getByRole("button", { name: "Only critical path", pressed: true }).waitFor();
}));

test("? lists the keys of the page, Escape closes it", () => at("/trace/0af7651916cd43dd8448eb211c80319c", async (page, keyboard) => {
  await press(keyboard, "?");
  const dialog = page.getByRole("dialog");
  await dialog.waitFor();
  for (const text of ["fit the span", "next error", "Deployments", "jump to"]) assert.match(await dialog.innerText(), new RegExp(text));
  await press(keyboard, "Escape");
  await dialog.waitFor({ state: "detached" });
}));

test("SQL runs by Ctrl+Enter and shows a refusal in words", async () => {
  const { page, context } = await open(browser);
  await page.goto(`${server.url}/sql`);
  const box = page.getByRole("textbox", { name: "SQL statement" });
  await box.fill("SELECT service_name FROM spans");
  await box.press("Control+Enter");
  await page.getByRole("table", { name: "Rows" }).waitFor();
  await box.fill("DROP TABLE spans");
  await box.press("Control+Enter");
  await page.locator(".failure").waitFor();
  assert.match(await page.locator(".failure").innerText(), /only SELECT/);
  await context.close();
});

test("theme, refresh and range by key; Back returns", () => at("/slo", async (page, keyboard) => {
  const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
  assert.equal(await theme(), "light");
  await press(keyboard, "t", "t");
  assert.equal(await theme(), "dark");
  await press(keyboard, "R");
  await page.waitForURL(/refresh=0/);
  await press(keyboard, "[");
  await page.waitForURL(/from=\d+&to=\d+|to=\d+/);
  await page.goBack();
  await page.waitForURL((url) => !/from=\d/.test(url.search));
}));
