// Talks to the server. One place for the base path, errors, cancellation and "the server is gone".
import { signal } from "@preact/signals";
import { base } from "./router";

/** When the server stopped answering, in epoch milliseconds; null while it answers. */
export const lostSince = signal<number | null>(null);

/** Why a request failed, in words for the page. */
export class ApiError extends Error {
  constructor(
    readonly status: number, readonly code: string, message: string, readonly requestId: string | null, readonly url: string,
  ) { super(message); }
}

export function apiUrl(path: string): string {
  return `${base}api/v1${path}`;
}

/** Reads JSON; throws ApiError, or the AbortError of a cancelled request. */
export async function getJson<T>(path: string, abort?: AbortSignal): Promise<T> {
  const answer = await request(path, { headers: { accept: "application/json" }, signal: abort ?? null });
  return read<T>(answer, path);
}

/** Runs a statement; `accept` chooses JSON or CSV. */
export async function postSql(text: string, accept: string, abort?: AbortSignal): Promise<Response> {
  return request("/sql", {
    method: "POST", signal: abort ?? null, body: JSON.stringify({ query: text }),
    headers: { "content-type": "application/json", accept },
  });
}

async function request(path: string, init: RequestInit): Promise<Response> {
  const url = apiUrl(path);
  let answer: Response;
  try {
    answer = await fetch(url, init);
  } catch (problem) {
    if ((problem as Error).name === "AbortError") throw problem;
    lostSince.value ??= Date.now();
    throw new ApiError(0, "unreachable", "the server does not answer", null, url);
  }
  lostSince.value = null;
  if (answer.ok) return answer;
  throw await failure(answer, url);
}

async function read<T>(answer: Response, path: string): Promise<T> {
  try {
    return await answer.json() as T;
  } catch (problem) {
    if ((problem as Error).name === "AbortError") throw problem;
    throw new ApiError(answer.status, "unreadable", "the answer is not JSON", null, apiUrl(path));
  }
}

async function failure(answer: Response, url: string): Promise<ApiError> {
  const fallback = answer.statusText || "the request failed";
  try {
    const body = await answer.json() as { error?: { code?: string; message?: string; request_id?: string } };
    return new ApiError(answer.status, body.error?.code ?? "error", body.error?.message ?? fallback, body.error?.request_id ?? null, url);
  } catch {
    return new ApiError(answer.status, "error", fallback, null, url);
  }
}

/** What a status means for the reader, beyond the server's message. */
export function advice(error: ApiError): string {
  switch (error.status) {
    case 0: return "Is the server running? This page tries again by itself.";
    case 401: return "Sign in at the proxy in front of Daytwo and reload.";
    case 403: return "You may not see this; ask whoever runs this server.";
    case 404: return "It may be older than the retention, or the address has a typo.";
    case 413: return "Narrow the time range or the filter.";
    case 429: return "Too many requests at once; it works again in a moment.";
    case 503: return "The server is busy or starting; it works again in a moment.";
    case 504: return "The query took too long; narrow the time range or the filter.";
    default: return error.status >= 500 ? "This is the server's fault; its log has the request id." : "";
  }
}
