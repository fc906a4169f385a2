// "/": the first-run page while there is no data, then the SLO board, or deployments while no SLO is defined.
import { useEffect } from "preact/hooks";
import { useApi } from "../core/load";
import { go, href } from "../core/router";
import type { Slos, Status } from "../core/types";
import { Failure, Skeleton } from "../ui/panel";
import Start from "./start";

export default function Home() {
  const status = useApi<Status>("/status");
  const slos = useApi<Slos>("/slos", false);
  const empty = status.data !== null && status.data.ingest.accepted_spans === 0 && status.data.storage.file_rows === 0 && status.data.storage.buffer_spans === 0;
  const error = status.error ?? slos.error;
  const target = empty || !status.data ? null : slos.data ? (slos.data.slos.length > 0 ? "/slo" : "/deployments") : slos.error ? "/deployments" : null;
  useEffect(() => { if (target) go(href(target), true); }, [target]);
  if (empty) return <Start />;
  if (error && !status.data) return <Failure error={error} retry={() => { status.retry(); slos.retry(); }} />;
  return <Skeleton rows={10} />;
}
