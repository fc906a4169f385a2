// Sums of a trace by service and operation.
import { ERROR, operationOf, pathShares, serviceOf, type Model } from "./model";

export interface Line { service: string; operation: string; calls: number; errors: number; total: number; self: number; most: number; path: number; whole: number }

export function linesOf(model: Model): Line[] {
  const lines = new Map<string, Line>();
  const { service, operation, status, self_ns: self } = model.body.columns;
  for (let row = 0; row < model.size; row += 1) {
    const key = `${service[row]}|${operation[row]}`;
    const line = lines.get(key) ?? { service: serviceOf(model, row), operation: operationOf(model, row), calls: 0, errors: 0, total: 0, self: 0, most: 0, path: 0, whole: model.durationNs };
    line.calls += 1;
    line.errors += status[row] === ERROR ? 1 : 0;
    line.total += model.length[row] ?? 0;
    line.self += self[row] ?? 0;
    line.most = Math.max(line.most, model.length[row] ?? 0);
    lines.set(key, line);
  }
  const shares = new Map(pathShares(model, model.size).map((one) => [`${one.service}|${one.operation}`, one.ns]));
  return [...lines.values()].map((line) => ({ ...line, path: shares.get(`${line.service}|${line.operation}`) ?? 0 }));
}
