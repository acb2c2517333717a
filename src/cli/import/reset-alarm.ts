// The state-reset alarm of an import: merges at which the newest value of a key did not win, told on stderr.

import type { TraceRecord } from '../../room/graph/state-resolver.js';
import { counted, messageColors, note, printable } from '../output.js';

/** Resets told one by one; the rest are counted. */
const TOLD_MAX = 10;

export class ResetAlarm {
  readonly #told: string[] = [];
  #count = 0;

  /** Takes what the engine says of one merge. */
  sound({ roomId, resets }: TraceRecord): void {
    for (const { type, stateKey, newest, became } of resets) {
      this.#count++;
      if (this.#told.length >= TOLD_MAX) continue;
      const key = stateKey === '' ? type : `${type} ${stateKey}`;
      const outcome = became === null ? 'nobody has it now' : `${became} has it`;
      this.#told.push(`  ${roomId} ${key}: the newest, ${newest}, lost; ${outcome}`);
    }
  }

  /** Prints what was noticed, once. */
  report(): void {
    if (this.#count === 0) return;
    const more = this.#count - this.#told.length;
    note(
      `${messageColors.yellow('state resets')}: ${counted(this.#count, 'key')} taken back by merges; \`stateroom blame\` explains`,
    );
    for (const line of this.#told) note(printable(line));
    if (more > 0) note(`  … and ${more} more`);
  }
}
