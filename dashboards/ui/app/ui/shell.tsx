// The frame around every page: navigation, jump box, range, environment, refresh, theme, banner, help, toast.
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { getJson, lostSince } from "../core/api";
import { useKeys } from "../core/keys";
import { busy } from "../core/load";
import { CHOICES, paused, refreshNow, seconds, setSeconds } from "../core/refresh";
import { env, go, here, href, query, setQuery } from "../core/router";
import { absoluteLink, copy, toast } from "../core/share";
import { nextTheme, theme } from "../core/theme";
import { clock } from "../core/time";
import type { Services } from "../core/types";
import { Help } from "./help";
import { Jump } from "./jump";
import { RangePicker } from "./range";

const NAV: { text: string; path: string; key: string; also: string[] }[] = [
  { text: "SLOs", path: "/slo", key: "s", also: ["/slos"] },
  { text: "Deployments", path: "/deployments", key: "d", also: [] },
  { text: "Flags", path: "/flags", key: "f", also: [] },
  { text: "Services", path: "/services", key: "v", also: [] },
  { text: "Traces", path: "/traces", key: "t", also: ["/trace"] },
  { text: "SQL", path: "/sql", key: "q", also: [] },
  { text: "Status", path: "/status", key: "i", also: ["/start"] },
];
const THEME_GLYPH = { auto: "◐", light: "○", dark: "●" };

export function Shell({ children }: { children: ComponentChildren }) {
  const [help, setHelp] = useState(false);
  useKeys("Anywhere ", [
    ...NAV.map((page) => ({ keys: `g ${page.key}`, does: page.text, run: () => go(href(page.path)) })),
    { keys: "r", does: "refresh now", run: refreshNow },
    { keys: "R", does: "auto refresh on or off", run: () => setSeconds(seconds.value === 0 ? 10 : 0) },
    { keys: "y", does: "copy the link", run: () => void copy(location.href, "the link") },
    { keys: "Y", does: "copy the link with absolute times", run: () => void copy(absoluteLink(Date.now()), "the absolute link") },
    { keys: "t", does: "theme", run: nextTheme },
    { keys: "?", does: "this list", run: () => setHelp(true) },
  ]);
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById("main")?.focus(); }}>Skip to content</a>
      <header class="top" hidden={query.value["kiosk"] === "1"}>
        <a class="brand" href={href("/")}><Mark />Daytwo</a>
        <nav aria-label="Pages">
          {NAV.map((page) => <a key={page.path} href={href(page.path)} aria-current={isCurrent(page) ? "page" : undefined} title={`g ${page.key}`}>{page.text}</a>)}
        </nav>
        <Jump />
        <EnvFilter />
        <RangePicker />
        <RefreshChoice />
        <button type="button" class="icon" title={`Theme: ${theme.value}  t`} aria-label={`Theme: ${theme.value}`} onClick={nextTheme}>{THEME_GLYPH[theme.value]}</button>
        <button type="button" class="icon" title="Share: copy a link with absolute times  Y" aria-label="Share" onClick={() => void copy(absoluteLink(Date.now()), "the absolute link")}><LinkMark /></button>
        <button type="button" class="icon" title="Keys  ?" aria-label="Keys" onClick={() => setHelp(true)}>?</button>
      </header>
      <div class={`progress${busy.value > 0 ? " on" : ""}`} aria-hidden="true" />
      <LostBanner />
      <main id="main" tabIndex={-1}>{children}</main>
      <div class={`toast${toast.value ? " on" : ""}`} role="status">{toast.value}</div>
      {help ? <Help close={() => setHelp(false)} /> : null}
    </>
  );
}

function isCurrent(page: { path: string; also: string[] }): boolean {
  const path = here.value.path;
  return [page.path, ...page.also].some((start) => path === start || path.startsWith(`${start}/`));
}

function LostBanner() {
  const since = lostSince.value;
  if (since === null) return null;
  return (
    <div class="lost" role="alert">
      <strong>No answer from the server since {clock(since)} UTC.</strong> What you see is from before. Trying again every 3 s.
      <button type="button" onClick={refreshNow}>Try now</button>
    </div>
  );
}

function RefreshChoice() {
  return (
    <label class="refresh" title={paused.value ?? "Auto refresh  R"}>
      <span aria-hidden="true" class={paused.value || seconds.value === 0 ? "muted" : undefined}>⟳</span>
      <select aria-label="Auto refresh" value={String(seconds.value)} onChange={(event) => setSeconds(Number(event.currentTarget.value))}>
        {CHOICES.map((value) => <option key={value} value={String(value)}>{value === 0 ? "off" : `${value} s`}</option>)}
      </select>
    </label>
  );
}

/** Offers the environments that sent spans in the last week. */
function EnvFilter() {
  const [known, setKnown] = useState<string[]>([]);
  useEffect(() => {
    getJson<Services>("/services?from=now-7d")
      .then((answer) => setKnown([...new Set(answer.services.map((one) => one.environment))].filter(Boolean).sort()))
      .catch(() => { /* the filter then offers only what the URL says */ });
  }, [here.value.path]);
  const options = env.value && !known.includes(env.value) ? [...known, env.value] : known;
  if (options.length === 0) return null;
  return (
    <select class="env" aria-label="Environment" value={env.value} onChange={(event) => setQuery({ env: event.currentTarget.value || null })}>
      <option value="">all environments</option>
      {options.map((name) => <option key={name} value={name}>{name}</option>)}
    </select>
  );
}

function LinkMark() {
  return (
    <svg width="14" height="14" viewBox="0 0 16 16" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round">
      <path d="M6.5 9.5l3-3M7 4.5l1.6-1.6a3 3 0 0 1 4.4 4.4L11.3 9M9 11.5l-1.6 1.6A3 3 0 0 1 3 8.7L4.7 7" />
    </svg>
  );
}

function Mark() {
  return (
    <svg width="16" height="16" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" /><path d="M7 11h11M7 16h18M7 21h8" stroke="var(--bg)" stroke-width="3.4" stroke-linecap="round" />
    </svg>
  );
}
