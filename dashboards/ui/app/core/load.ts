// useApi: one GET kept fresh. Keeps old data while loading, cancels what is no longer wanted.
import { signal } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiError, getJson } from "./api";
import { tick } from "./refresh";

export interface Loaded<T> {
  data: T | null;
  error: ApiError | null;
  loading: boolean;
  /** When `data` arrived, in epoch milliseconds. */
  at: number;
  /** The path `data` answers, which during a change is not yet the one asked. */
  path: string | null;
  retry: () => void;
}

/** Raised while any request is under way; the shell shows a thin bar. */
export const busy = signal(0);

interface Held<T> { data: T | null; error: ApiError | null; loading: boolean; at: number; path: string | null }

/**
 * Loads `path` (null: nothing), again at each refresh tick. Data of another path is kept while loading only if the part
 * before `?` is the same: another filter of one list, not another object.
 */
export function useApi<T>(path: string | null, live = true): Loaded<T> {
  const [held, setHeld] = useState<Held<T>>({ data: null, error: null, loading: path !== null, at: 0, path: null });
  const [attempt, setAttempt] = useState(0);
  const asked = useRef<string | null>(null);
  // A load that is not live keeps the beat it had: ending the refresh must not ask once more.
  const lastBeat = useRef(0);
  if (live) lastBeat.current = tick.value;
  const beat = lastBeat.current;
  useEffect(() => {
    if (path === null) { setHeld({ data: null, error: null, loading: false, at: 0, path: null }); return undefined; }
    const abort = new AbortController();
    const sameObject = asked.current?.split("?")[0] === path.split("?")[0];
    asked.current = path;
    setHeld((old) => (sameObject ? { ...old, loading: true } : { data: null, error: null, loading: true, at: 0, path: null }));
    busy.value += 1;
    getJson<T>(path, abort.signal)
      .then((data) => setHeld({ data, error: null, loading: false, at: Date.now(), path }))
      .catch((problem: unknown) => {
        if (abort.signal.aborted) return;
        const error = problem instanceof ApiError ? problem : new ApiError(-1, "page", String(problem), null, path);
        setHeld((old) => ({ ...old, error, loading: false }));
      })
      .finally(() => { busy.value -= 1; });
    return () => abort.abort();
  }, [path, attempt, beat]);
  const current = held.path !== null && path !== null && held.path.split("?")[0] !== path.split("?")[0];
  return { ...(current ? { ...held, data: null, loading: true } : held), retry: () => setAttempt(attempt + 1) };
}
