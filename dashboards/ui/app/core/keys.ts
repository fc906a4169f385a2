// Keyboard: components register keys while they are shown; the last one registered wins. Never fires inside inputs.
import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";

export interface Binding { keys: string; does: string; run: (event: KeyboardEvent) => void }
interface Scope { title: string; bindings: () => Binding[] }

/** What `?` lists; newest last. */
export const scopes = signal<Scope[]>([]);
/** How long `g` waits for its second letter. */
const CHORD_MS = 1200;
let prefix = "";
let prefixAt = 0;

/** Registers `bindings` while the component is mounted; they may close over its current props. */
export function useKeys(title: string, bindings: Binding[]): void {
  const latest = useRef(bindings);
  latest.current = bindings;
  useEffect(() => {
    const scope: Scope = { title, bindings: () => latest.current };
    scopes.value = [...scopes.value, scope];
    return () => { scopes.value = scopes.value.filter((other) => other !== scope); };
  }, [title]);
}

export function startKeys(): void {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (isTyping(event.target as Element | null)) return;
    const now = performance.now();
    const chord = prefix && now - prefixAt < CHORD_MS ? `${prefix} ${event.key}` : "";
    prefix = "";
    const binding = (chord && find(chord)) || find(event.key);
    if (binding) {
      event.preventDefault();
      binding.run(event);
    } else if (startsChord(event.key)) {
      prefix = event.key;
      prefixAt = now;
    }
  });
}

export function isTyping(element: Element | null): boolean {
  return Boolean(element?.closest?.("input, textarea, select, [contenteditable], dialog"));
}

function find(keys: string): Binding | undefined {
  for (let at = scopes.value.length - 1; at >= 0; at -= 1) {
    const found = scopes.value[at]?.bindings().find((binding) => binding.keys.split(" / ").includes(keys));
    if (found) return found;
  }
  return undefined;
}

function startsChord(key: string): boolean {
  return scopes.value.some((scope) => scope.bindings().some((binding) => binding.keys.split(" / ").some((keys) => keys.startsWith(`${key} `))));
}
