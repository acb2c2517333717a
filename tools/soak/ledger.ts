// What was asked and what came of it: counted by kind, and everything that should not have come of it kept.

import type { Answer } from './http.js';

/** Findings printed; all are counted. */
const FINDINGS_SHOWN_MAX = 40;

export class Ledger {
  readonly #outcomes = new Map<string, Map<string, number>>();
  readonly #unexpected = new Map<string, number>();
  readonly findings: string[] = [];
  requests = 0;
  failures = 0;

  /**
   * Counts an answer.
   * @param allowed outcomes that are right: `200`, `403 M_FORBIDDEN`
   * @returns whether it is 200 and may be
   */
  note(action: string, answer: Answer, allowed: readonly string[] = ['200']): boolean {
    this.requests++;
    const { errcode, error } = answer.body;
    const outcome = answer.status === 200 ? '200' : `${answer.status} ${String(errcode)}`;
    const outcomes = this.#outcomes.get(action) ?? new Map<string, number>();
    this.#outcomes.set(action, outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1));
    if (!allowed.includes(outcome)) {
      this.unexpected(`${action}: ${outcome}`, `${action}: ${outcome}: ${String(error)}`);
      return false;
    }
    return outcome === '200';
  }

  /** Something happened that must not. @param kind by which it is counted */
  unexpected(kind: string, finding: string): void {
    this.failures++;
    this.#unexpected.set(kind, (this.#unexpected.get(kind) ?? 0) + 1);
    if (this.findings.length < FINDINGS_SHOWN_MAX) this.findings.push(finding);
  }

  /** One line for each kind of request. */
  table(): string[] {
    const byName = [...this.#outcomes].sort(([a], [b]) => (a < b ? -1 : 1));
    return byName.map(([action, outcomes]) => {
      const counts = [...outcomes].map(([outcome, count]) => `${outcome} x ${count}`).join(', ');
      return `  ${action.padEnd(20)} ${counts}`;
    });
  }

  /** One line for each kind of what must not be. */
  unexpectedTable(): string[] {
    return [...this.#unexpected].map(([kind, count]) => `  ${kind} x ${count}`);
  }
}
