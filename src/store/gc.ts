// Garbage collection: takes out the tree nodes that no kept root reaches.
//
//   check   every node is read and hashed; with a damaged one nothing is collected, for what it refers to
//           cannot be known
//   mark    from the roots in `roots`, `rooms` and `traces`, down: records in falling order, because a node
//           refers only to places before its own; whole versions that deltas lean on are marked too
//   sweep   records in falling order again: rewritten with the survivors at their old index, or deleted
//
// Why this is safe beside a running writer. Roots and records are those of one snapshot, so every node of it
// that is not marked is reached by no root committed by then. What the writer commits later can refer to old
// nodes only through a root that it builds on, and shares or leans on nothing else: nodes are never looked up
// by their hash. Such a root is (a) one of the snapshot, and all it reaches is marked; (b) one committed later,
// or a draft not yet committed, whose own nodes lie in records that the snapshot does not hold, which are never
// touched, and whose other nodes come from (a) by the same argument. Drafts and the rows that keep their roots
// are always in one commit group, so no snapshot holds the nodes of a root without the root, unless the root
// was refused, and on refused ones nothing is built.
//
// Caches in memory may go on holding nodes that are gone from disk. That does no harm: such a node is found
// only through a root that reaches it, and there is none; and its place is never given to another node, for
// record numbers only grow. A view that someone holds of a root that is kept nowhere (a purged room) finds
// TREE_NODE_MISSING.
//
// Referrers go before what they refer to, so that a store in which a sweep was cut short holds no node
// whose children are missing.

import { readRecordTable, rewriteRecord } from '../tree/record.js';
import { readStoredNode } from '../tree/stored.js';
import type { NodeLocation, RootRef } from '../tree/types.js';
import { checkNodes, RecentRecords, type StoreProblem } from './check-nodes.js';
import { countChanges, emptyGroup, type RecordChange } from './commit-group.js';
import { StoreCorruptError } from './errors.js';
import { exclusively } from './exclusive.js';
import { FrozenStore } from './frozen.js';
import { keyspaceRange, numberOfKey } from './keys.js';
import { NodeMarks } from './node-table.js';
import { decodeRoom, decodeRoots, decodeValue } from './records.js';
import type { Store } from './store.js';

/** Writes changes of records, in one atomic batch that keeps the counters right. */
export type ChangeRecords = (changes: readonly RecordChange[]) => Promise<void>;

export interface GcOptions {
  /** How to write: through the writer of the engine that has the store open. Without one: straight. */
  readonly change?: ChangeRecords;
  readonly onProgress?: (progress: GcProgress) => void;
}

export interface GcProgress {
  readonly phase: 'check' | 'mark' | 'sweep';
  /** Records gone through in this phase. */
  readonly done: number;
}

export interface GcReport {
  /** Records and nodes found. */
  readonly records: number;
  readonly nodes: number;
  readonly nodesKept: number;
  readonly recordsDeleted: number;
  readonly recordsRewritten: number;
  readonly bytesFreed: number;
}

const PROGRESS_RECORDS = 1_000;
const BATCH_RECORDS = 500;
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Collects the nodes that nothing needs. Costs a read of all records, twice of those that hold live nodes.
 * @throws STORE_CORRUPT when a node is damaged or missing: nothing is deleted; STORE_BUSY; STORE_WRITE_FAILED
 */
export async function collectGarbage(store: Store, options: GcOptions = {}): Promise<GcReport> {
  return exclusively(store, async () => {
    const frozen = new FrozenStore(store);
    try {
      return await new Collection(frozen, options.change ?? straight(store), options.onProgress).run();
    } finally {
      await frozen.close();
    }
  });
}

function straight(store: Store): ChangeRecords {
  return async (changes) => {
    const counters = countChanges(store.counters(), changes);
    await store.write({ ...emptyGroup(counters), changedRecords: changes });
  };
}

class Collection {
  readonly #frozen: FrozenStore;
  readonly #change: ChangeRecords;
  readonly #onProgress: GcOptions['onProgress'];

  constructor(frozen: FrozenStore, change: ChangeRecords, onProgress: GcOptions['onProgress']) {
    this.#frozen = frozen;
    this.#change = change;
    this.#onProgress = onProgress;
  }

  async run(): Promise<GcReport> {
    const count = this.#counting('check');
    const onProblem = (problem: StoreProblem): never => {
      throw refusal(problem);
    };
    const { table, records, nodes } = await checkNodes(this.#frozen, { onProblem, onRecord: count });
    const marks = new NodeMarks(table);
    await this.#markRoots(marks);
    await this.#markBelow(marks);
    const swept = await this.#sweep(marks);
    return { records, nodes, nodesKept: marks.count, ...swept };
  }

  async #markRoots(marks: NodeMarks): Promise<void> {
    const mark = (root: RootRef, what: string): void => {
      if (root.record === 0 || marks.add(root)) return;
      const { record, index } = root;
      throw refusal({
        code: 'NODE_MISSING',
        message: `the root in ${what} is not there`,
        fields: { record, index },
      });
    };
    for await (const [, value] of this.#frozen.rows(keyspaceRange('rooms'))) {
      const room = decodeRoom(value);
      mark(room.root, `the row of room ${room.roomId}`);
    }
    for await (const [key, value] of this.#frozen.rows(keyspaceRange('roots'))) {
      const { after, before, current, room } = decodeRoots(value);
      const what = `the roots row of seq ${numberOfKey(key)}`;
      mark(after, what);
      mark(before, what);
      if (current !== undefined) mark(current, what);
      if (room !== undefined) mark(room, what);
    }
    for await (const [, value] of this.#frozen.rows(keyspaceRange('traces'))) {
      const { root, inputs } = decodeValue<{ root: RootRef; inputs: readonly RootRef[] }>(value, 'trace');
      for (const kept of [root, ...inputs]) mark(kept, 'a trace');
    }
  }

  /** Marks what marked nodes refer to: whatever is still to be marked lies before the place where this is. */
  async #markBelow(marks: NodeMarks): Promise<void> {
    const source = new RecentRecords(this.#frozen);
    const count = this.#counting('mark');
    for await (const [key, value] of this.#frozen.rows(keyspaceRange('nodes'), true)) {
      const record = numberOfKey(key);
      count();
      source.hold(record, value);
      for (let index = readRecordTable(value).starts.length - 2; index >= 0; index--) {
        if (!marks.has({ record, index })) continue;
        const { children, base } = readStoredNode(source, { record, index });
        const below: readonly NodeLocation[] = base === undefined ? children : [base, ...children];
        for (const location of below) marks.add(location);
      }
    }
  }

  async #sweep(
    marks: NodeMarks,
  ): Promise<Pick<GcReport, 'recordsDeleted' | 'recordsRewritten' | 'bytesFreed'>> {
    let recordsDeleted = 0;
    let recordsRewritten = 0;
    let bytesFreed = 0;
    let changes: RecordChange[] = [];
    let bytesRead = 0;
    const count = this.#counting('sweep');
    for await (const [key, value] of this.#frozen.rows(keyspaceRange('nodes'), true)) {
      const record = numberOfKey(key);
      count();
      const bytes = rewriteRecord(value, (index) => marks.has({ record, index }));
      if (bytes !== undefined && bytes.length === value.length) continue;
      if (bytes === undefined) recordsDeleted++;
      else recordsRewritten++;
      bytesFreed += value.length - (bytes?.length ?? 0);
      changes.push({ record, bytes, lengthBefore: value.length });
      bytesRead += value.length;
      if (changes.length < BATCH_RECORDS && bytesRead < BATCH_BYTES) continue;
      await this.#change(changes);
      changes = [];
      bytesRead = 0;
    }
    if (changes.length > 0) await this.#change(changes);
    return { recordsDeleted, recordsRewritten, bytesFreed };
  }

  #counting(phase: GcProgress['phase']): () => void {
    let done = 0;
    return () => {
      if (++done % PROGRESS_RECORDS === 0) this.#onProgress?.({ phase, done });
    };
  }
}

function refusal({ message, fields }: StoreProblem): Error {
  return new StoreCorruptError(
    `nothing is collected from a damaged store: ${message}; run \`stateroom fsck\`, then \`stateroom rebuild\``,
    fields,
  );
}
