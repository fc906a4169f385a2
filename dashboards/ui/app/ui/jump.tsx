// The jump box (`/`): services, deployments, operations and pages by name, a trace by its id.
import { useEffect, useRef, useState } from "preact/hooks";
import { getJson } from "../core/api";
import { useKeys } from "../core/keys";
import { base, go, href } from "../core/router";
import type { Suggestions } from "../core/types";
import { pathOf } from "../core/url";

interface Entry { kind: string; text: string; href: string }
const PAGES: Entry[] = [
  ["SLOs", "/slo"], ["Deployments", "/deployments"], ["Services", "/services"], ["Traces", "/traces"], ["SQL", "/sql"], ["Status", "/status"],
].map(([text, path]) => ({ kind: "page", text: text ?? "", href: path ?? "/" }));
/** Keystrokes closer together than this ask once. */
const QUIET_MS = 120;
const TRACE_ID = /^[0-9a-f]{32}$/i;

export function Jump() {
  const input = useRef<HTMLInputElement>(null);
  const closing = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const entries = useSuggestions(open ? text.trim() : "");
  useKeys("Anywhere", [{ keys: "/", does: "jump to a service, a deployment, a trace id or a page", run: () => input.current?.focus() }]);
  const choose = (entry: Entry | undefined): void => {
    if (!entry) return;
    setText("");
    setOpen(false);
    input.current?.blur();
    const [path, search] = entry.href.split("?");
    go(href(path ?? "/", Object.fromEntries(new URLSearchParams(search ?? ""))));
  };
  const onKey = (event: KeyboardEvent): void => {
    if (event.key === "Escape") { setOpen(false); input.current?.blur(); }
    else if (event.key === "ArrowDown") { event.preventDefault(); setAt(Math.min(entries.length - 1, at + 1)); }
    else if (event.key === "ArrowUp") { event.preventDefault(); setAt(Math.max(0, at - 1)); }
    else if (event.key === "Enter") choose(entries[at]);
  };
  return (
    <div class="jump" role="search">
      <input ref={input} type="text" placeholder="Jump to service, trace id…  /" aria-label="Jump to" value={text} role="combobox"
        aria-expanded={open && entries.length > 0} aria-controls="jumplist" aria-activedescendant={open && entries[at] ? `jump${at}` : undefined}
        onInput={(event) => { setText(event.currentTarget.value); setAt(0); setOpen(true); }}
        onFocus={() => { clearTimeout(closing.current); setOpen(true); }}
        onBlur={() => { closing.current = setTimeout(() => setOpen(false), 150); }} onKeyDown={onKey} />
      {open && entries.length > 0 ? (
        <ul id="jumplist" role="listbox" class="popup">
          {entries.map((entry, index) => (
            <li key={entry.kind + entry.href + entry.text} id={`jump${index}`} role="option" aria-selected={index === at}
              onPointerDown={(event) => { event.preventDefault(); choose(entry); }}>
              <span class="kind">{entry.kind}</span>{entry.text}
            </li>
          ))}
        </ul>
      ) : null}
    </div>
  );
}

function useSuggestions(text: string): Entry[] {
  const [found, setFound] = useState<Entry[]>([]);
  useEffect(() => {
    setFound([]);
    if (text === "" || TRACE_ID.test(text)) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      getJson<Suggestions>(`/suggest?q=${encodeURIComponent(text)}`, abort.signal)
        .then((answer) => setFound(answer.suggestions.map((one) => ({ ...one, href: local(one.href) }))))
        .catch(() => { /* pages and trace ids still work without suggestions; a lost server shows its own banner */ });
    }, QUIET_MS);
    return () => { clearTimeout(timer); abort.abort(); };
  }, [text]);
  if (TRACE_ID.test(text)) return [{ kind: "trace", text: text.toLowerCase(), href: pathOf("trace", text.toLowerCase()) }];
  const pages = PAGES.filter((page) => page.text.toLowerCase().includes(text.toLowerCase()));
  return text === "" ? pages : [...found, ...pages];
}

/** The server names pages from its root; anything that is not a plain path there is not followed. */
function local(address: string): string {
  const path = address.startsWith(base) && base !== "/" ? `/${address.slice(base.length)}` : address;
  return path.startsWith("/") && !path.startsWith("//") ? path : "/";
}
