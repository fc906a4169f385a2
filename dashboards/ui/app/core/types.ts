// The answers of the HTTP API, as docs/http-api.md states them. Times in nanoseconds are decimal strings.

export interface Answer { as_of_unix_nano?: string; partial?: string[] }

export type State = "PASS" | "FAIL" | "WARN" | "CONTINUE" | "INCONCLUSIVE" | "INHERITED" | "SKEWED" | "CONFOUNDED" | "NOISY" | "NO_DATA";
export type Class = "OWN" | "EDGE" | "INDUCED" | "INHERITED";
export type SloState = "ok" | "burning_ticket" | "burning_page" | "spent" | "low_traffic" | "no_data";

export interface Status extends Answer {
  version: string;
  started_unix_nano: string;
  state: "ready" | "recovering" | "read_only" | "disk_full";
  state_reason: string | null;
  otlp: { grpc: string; http: string };
  data_dir: string;
  ingest: {
    received_spans: number; accepted_spans: number; deduplicated_spans: number;
    rejected_spans: Record<string, number>; shed_requests: Record<string, number>; spans_per_second: number;
  };
  storage: {
    buffer_bytes: number; buffer_spans: number; wal_bytes: number; files: number; file_bytes: number; file_rows: number;
    quarantined_files: number; flushes: number; flush_failures: number;
  };
  query: { running: number; limit: number; completed: number; cancelled: number; failed: number };
  correlation: { open_traces: number; closed_traces: number; cells: number; late_spans: number; overflowed_journeys: number; lagging: boolean };
  limits: Record<string, string>;
}

export interface Service {
  service: string; environment: string; rate_per_s: number | null; errors_fraction: number | null;
  p50_ms: number | null; p95_ms: number | null; p99_ms: number | null;
  spans: number; operations: number; versions: string[]; last_seen_unix_nano: string;
}
export interface Services extends Answer { services: Service[] }

export interface Operation {
  operation: string; kind: string; calls: number; rate_per_s: number | null; errors_fraction: number | null;
  p50_ms: number | null; p95_ms: number | null; p99_ms: number | null; self_p50_ms: number | null; self_p95_ms: number | null;
}
export interface Operations extends Answer { service: string; operations: Operation[] }

export interface Burn { window: string; rate: number | null }
export interface Alert {
  /** The AlertPolicy of a condition; null for a pair of windows. */
  policy: string | null;
  severity: "page" | "ticket"; long: string; short: string; threshold: number;
  long_rate: number | null; short_rate: number | null; firing: boolean;
}
export interface BudgetPoint { t_unix_nano: string; budget_left: number | null }
/** A member of a composite objective. */
export interface Member {
  name: string; service: string; objective: string; target: number; weight: number; sli: number | null; good: number; bad: number;
  burnt: number | null; burnt_share: number | null;
}
export interface Bounds { conditions: { name: string; sli: number }[]; product: number; low: number; high: number }
export interface Slo {
  id: string; name: string; display_name: string; service: string; kind: "availability" | "latency" | "journey" | "composite"; objective: string;
  target: number; window: string; window_from_unix_nano: string; window_to_unix_nano: string | null; sli: number | null; good: number; bad: number; total: number;
  /** Of journeys: those of which too little was seen, what they leave open, and what the conditions alone could say. */
  unknown: number; sli_low: number | null; sli_high: number | null; bounds: Bounds | null;
  budget_left: number | null; exhausted_in_s: number | null; burn: Burn[]; alerts: Alert[];
  state: SloState; state_reason: string | null; members: Member[]; budget_series: BudgetPoint[];
  last_deployment: null | { service: string; version: string; first_seen_unix_nano: string; state: State };
}
export interface FileRemark { file: string; line: number | null; message: string }
export interface Slos extends Answer { slos: Slo[]; problems: FileRemark[]; notes: FileRemark[] }
export interface SloPoint { t_unix_nano: string; good: number; bad: number; sli: number | null; burn_long: number | null; burn_short: number | null }
export interface SloDetail extends Answer {
  slo: Slo; yaml: string; series: SloPoint[];
  by_operation: { operation: string; version: string; bad: number; share: number }[];
  by_service: { service: string | null; caller: string | null; version: string; bad: number; share: number }[];
  bad_traces: TraceSummary[]; sql: string;
}

export interface FiringAlert { status: "firing" | "resolved"; labels: Record<string, string>; page: string; starts_at_unix_nano: string }
export interface Alerts extends Answer { alerts: FiringAlert[] }

export interface Note { kind: string; at_unix_nano: string; text: string }
export interface Deployment {
  service: string; environment: string; version: string; previous_version: string | null;
  first_seen_unix_nano: string; last_seen_unix_nano: string; share: number | null;
  kind: "first" | "release" | "rollback" | "declared"; state: State; class: Class | null; headline: string;
  identity: { revisions: string[]; image_digests: string[]; image_tags: string[]; pod_template_hashes: string[] };
  instances: number; notes: Note[];
  declared: null | { at_unix_nano: string; kind: "deployed" | "upgraded" | "rolled_back"; actor: string | null; url: string | null; revision: string | null; weight: number | null };
  /** Whom a release that only inherits inherits from. */
  explained_by: string | null; regressed_operations: number; inherited_services: number;
  rate_change: number | null; p50_change: number | null; p95_change: number | null; p99_change: number | null; errors_change: number | null;
}
export interface Deployments extends Answer { deployments: Deployment[] }

export interface Quantiles { p50: number | null; p95: number | null; p99: number | null }
export interface Finding {
  node: "self" | "edge" | "total"; service: string; operation: string | null; peer: string | null; class: Class | null; state: State;
  signal: "latency" | "errors"; traces_before: number; traces_after: number; before_ms: Quantiles | null; after_ms: Quantiles | null;
  ratio: number | null; ratio_low: number | null; ratio_high: number | null; excess_ms: number | null;
  errors_before: number | null; errors_after: number | null; z: number | null; e_value: number | null; p_value: number | null;
  strata: number; own_share: number | null; why: string;
}
export interface Exemplar {
  trace_id: string; role: "candidate_slow" | "candidate_median" | "baseline_median" | "error";
  duration_ms: number; node_ms: number | null; start_unix_nano: string;
}
export interface Parity {
  service: string; attribute: string; state: "differs" | "unknown" | "alike"; distance: number;
  values: { value: string; before: number; after: number }[];
}
/** A service by what it explains of the change, in milliseconds per trace. */
export interface Suspect { service: string; score_ms: number; share: number; own_ms: number; edge_ms: number; calls_ms: number }
export interface Structure { caller: string; callee: string; calls_per_trace_before: number | null; calls_per_trace_after: number | null }
/** How the traffic was split while a declared weight was in force. */
export interface Split {
  declared: number; share: number | null; traces: number; elsewhere: number; mixed: number; effective_traces: number; asker: string | null;
  from_unix_nano: string; to_unix_nano: string; e_value: number; p_value: number; skewed: boolean; sql: string;
}
export interface Verdict {
  state: State; class: Class | null; headline: string; reason: string; judged_at_unix_nano: string; looks: number;
  baseline: { rung: "A" | "B" | "C" | "D"; version: string | null; meaning: string; from_unix_nano: string; to_unix_nano: string; traces: number };
  candidate: { version: string; from_unix_nano: string; to_unix_nano: string; traces: number };
  alpha: number; material_ratio: number; planned_traces: number; mde_ratio: number | null; traces_needed: number | null; seconds_needed: number | null; coverage: number;
  findings: Finding[]; affected: Finding[]; suspects: Suspect[]; structure: Structure[];
  exemplars: Exemplar[]; splits: Split[]; confounders: string[]; parity: Parity[]; what_would_change: string; sql: string;
}
export interface SharePoint { t_unix_nano: string; share: number; traces: number }
export interface DeploymentDetail extends Answer { deployment: Deployment; share_series: SharePoint[]; verdict: Verdict }
export interface FlagService {
  service: string; state: State; class: Class | null; headline: string; share: number; traces_before: number; traces_after: number;
  e_value: number; e_needed: number; discovery: boolean;
}
export interface FlagComparison {
  variant: string; control: string; state: State; class: Class | null; headline: string; reason: string;
  judged_from_unix_nano: string; judged_at_unix_nano: string; services: FlagService[]; confounders: string[];
}
export interface FlagVariant { variant: string; control: boolean; traces: number; share: number | null; weight: number | null; first_seen_unix_nano: string; last_seen_unix_nano: string }
export interface FlagChange { kind: "variant" | "version" | "share"; at_unix_nano: string; text: string }
export interface Flag {
  key: string; environment: string; control: string; control_rule: "name" | "oldest" | "largest";
  assignment: "randomised" | "observational"; assignment_meaning: string; state: State; class: Class | null; headline: string;
  traces: number; mixed_traces: number; variants: FlagVariant[]; comparisons: FlagComparison[];
  reasons: { name: string; traces: number }[]; asked_by: { name: string; traces: number }[]; versions: string[]; changes: FlagChange[];
  e_value: number; e_needed: number; discovery: boolean;
}
export interface Flags extends Answer { flags: Flag[] }
export interface FlagDetail extends Answer {
  flag: Flag; share_series: { variant: string; series: SharePoint[] }[];
  verdicts: { variant: string; services: { service: string; verdict: Verdict }[] }[];
}
export interface Bin { low_ms: number; high_ms: number; before: number; after: number }
export interface Distribution extends Answer {
  operation: string; unit: string; bins: Bin[]; quantiles: { before: Quantiles | null; after: Quantiles | null };
}

export interface TraceSummary {
  trace_id: string; root_service: string | null; root_operation: string | null; start_unix_nano: string; duration_ms: number;
  spans: number; errors: number; services: { service: string; spans: number }[]; matched_spans: number;
}
export interface Scan { files_total: number; files_scanned: number; index_bytes: number; data_bytes: number; elapsed_ms: number }
export interface Traces extends Answer { traces: TraceSummary[]; limit: number; truncated: boolean; stats: Scan }

export interface TraceBody extends Answer {
  trace_id: string; start_unix_nano: string; duration_ns: string; spans: number; services: string[]; operations: string[];
  anomalies: { kind: string; span_id: string | null; message: string }[];
  columns: {
    span_id: string[]; parent: number[]; depth: number[]; service: number[]; operation: number[]; kind: string[]; status: number[];
    start_offset_ns: number[]; duration_ns: number[]; self_ns: number[]; flags: number[];
  };
  critical_path: { row: number; start_offset_ns: number; end_offset_ns: number }[];
  stats: Scan;
}
export interface Attribute { key: string; type: string; value: unknown }
export interface SpanBody extends Answer {
  span: {
    trace_id: string; span_id: string; parent_span_id: string | null; name: string; kind: string; start_unix_nano: string; duration_ns: string;
    status: string; status_message: string | null; service: string; service_version: string | null;
    attributes: Attribute[]; resource: Attribute[]; scope: { name: string | null; version: string | null } | null;
    events: { time_unix_nano: string; name: string; attributes: Attribute[] }[];
    links: { trace_id: string; span_id: string; attributes: Attribute[] }[]; anomalies: string[];
  };
}

export interface SqlAnswer extends Answer {
  columns: { name: string; type: string }[]; rows: unknown[][]; row_count: number; truncated: boolean; elapsed_ms: number;
}
export interface Suggestions { suggestions: { kind: "service" | "operation" | "trace" | "deployment"; text: string; href: string }[] }
