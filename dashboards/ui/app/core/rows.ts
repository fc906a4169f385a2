// useRows: one statement asked once, like useApi but over SQL; asked again only when it changes, or by Retry.
import { useEffect, useState } from "preact/hooks";
import { ApiError, postSql } from "./api";
import { busy, type Loaded } from "./load";
import type { SqlAnswer } from "./types";

const NOTHING = { data: null, error: null, loading: false, at: 0, path: null };

/** Rows of `sql` (null: nothing is asked). */
export function useRows(sql: string | null): Loaded<SqlAnswer> {
  const [held, setHeld] = useState<Omit<Loaded<SqlAnswer>, "retry">>(NOTHING);
  const [attempt, setAttempt] = useState(0);
  useEffect(() => {
    setHeld({ ...NOTHING, loading: sql !== null });
    if (sql === null) return undefined;
    const abort = new AbortController();
    busy.value += 1;
    postSql(sql, "application/json", abort.signal)
      .then(async (answer) => setHeld({ data: await answer.json() as SqlAnswer, error: null, loading: false, at: Date.now(), path: sql }))
      .catch((problem: unknown) => {
        if (abort.signal.aborted) return;
        setHeld({ ...NOTHING, error: problem instanceof ApiError ? problem : new ApiError(-1, "page", String(problem), null, sql) });
      })
      .finally(() => { busy.value -= 1; });
    return () => abort.abort();
  }, [sql, attempt]);
  // An answer to another statement is not shown for this one.
  return { ...(held.path !== null && held.path !== sql ? { ...NOTHING, loading: true } : held), retry: () => setAttempt(attempt + 1) };
}
