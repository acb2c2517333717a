// What fsck found: all counted, the first so many kept.

import type { StoreProblem } from '../../store/check-nodes.js';

/** Problems of rows that nothing else can tell: a rebuild does not help. */
const LOST = new Set([
  'EVENT_UNREADABLE',
  'EVENT_DAMAGED',
  'EVENT_REFERENCE_UNKNOWN',
  'GIVEN_STATE_DAMAGED',
  'QUEUE_UNREADABLE',
]);

/** What helps: nothing is needed, `stateroom rebuild`, or only a backup or asking other servers. */
export type Repair = 'none' | 'rebuild' | 'lost';

export class Problems {
  readonly list: StoreProblem[] = [];
  readonly #max: number;
  #count = 0;
  #lost = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get count(): number {
    return this.#count;
  }

  get repair(): Repair {
    if (this.#lost > 0) return 'lost';
    return this.#count > 0 ? 'rebuild' : 'none';
  }

  readonly add = (problem: StoreProblem): void => {
    this.#count++;
    const isLost = LOST.has(problem.code);
    if (isLost) this.#lost++;
    if (this.list.length >= this.#max) return;
    const message = isLost ? problem.message : `${problem.message}; run \`stateroom rebuild\``;
    this.list.push({ ...problem, message });
  };
}
