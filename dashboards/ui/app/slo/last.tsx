// The newest release of an objective's service, and its verdict.
import { href } from "../core/router";
import type { Slo } from "../core/types";
import { pathOf } from "../core/url";
import { VerdictChip } from "../ui/chip";

export function LastDeployment({ slo }: { slo: Slo }) {
  const last = slo.last_deployment;
  if (!last) return <span class="muted">—</span>;
  return <><a class="clipped" title={last.version} href={href(pathOf("deployments", last.service, last.version))}>{last.version}</a> <VerdictChip state={last.state} /></>;
}
