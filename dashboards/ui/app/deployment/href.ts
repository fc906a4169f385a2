// The address of a deployment's page; its environment goes along, since a version may be in several.
import { href } from "../core/router";
import { pathOf } from "../core/url";

export function deploymentHref(one: { service: string; version: string; environment?: string }): string {
  return href(pathOf("deployments", one.service, one.version), one.environment ? { env: one.environment } : {});
}
