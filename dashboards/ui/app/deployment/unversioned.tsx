// Services that never say which version they are: no deployment of theirs can be seen.
import { useApi } from "../core/load";
import { env, href } from "../core/router";
import type { Services } from "../core/types";
import { pathOf, queryOf } from "../core/url";

/** Names that are listed; the rest is counted. */
const NAMED = 6;

export function Unversioned() {
  const load = useApi<Services>(`/services${queryOf({ from: "now-1d", env: env.value })}`, false);
  const silent = [...new Set((load.data?.services ?? []).filter((one) => one.versions.length === 0).map((one) => one.service))].sort();
  if (silent.length === 0) return null;
  return (
    <p class="partial" role="note">
      <strong><span aria-hidden="true">○</span> {silent.length} {silent.length === 1 ? "service sends" : "services send"} no <code>service.version</code>:</strong>{" "}
      {silent.slice(0, NAMED).map((name, at) => <span key={name}>{at > 0 ? ", " : ""}<a href={href(pathOf("services", name))}>{name}</a></span>)}
      {silent.length > NAMED ? ` and ${silent.length - NAMED} more` : ""}. Their releases cannot be judged; <a href={href("/start")}>how to set it</a>.
    </p>
  );
}
