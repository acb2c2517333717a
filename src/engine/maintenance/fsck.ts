// fsck: everything that is stored, checked against what it must follow from. It changes nothing.
//
//   nodes     every tree node hashed, its children and bases there, every entry's event known
//   events    every event hashed, its roots, and every index row that follows from it
//   indexes   rooms, traces, counters, queues; index rows that follow from nothing
//
// It reads a snapshot, so it may run beside a writer. Damage is told, never thrown. Memory: 8 bytes for each
// node and each state event, and a bounded list of problems; the rest is streamed.

import type { RoomVersionRules } from '../../event/rules.js';
import { storedRulesOf } from '../../event/rules.js';
import { ClockCache } from '../../lib/clock-cache.js';
import { HORIZON_QUEUE, type HorizonRow } from '../../room/graph/horizon.js';
import { pduOfRow } from '../../room/graph/known-events.js';
import type { StoredTrace } from '../../room/graph/state-resolver.js';
import { idOfValue } from '../../room/state/value.js';
import { type CheckedNodes, checkNodes, type StoreProblem } from '../../store/check-nodes.js';
import { COUNTERS_KEY } from '../../store/commit-group.js';
import { FrozenStore } from '../../store/frozen.js';
import { keyspaceRange, metaKey, nameOfKey, numberOfKey, queueRange } from '../../store/keys.js';
import { type Counters, decodeRoom, decodeValue, NO_COUNTERS } from '../../store/records.js';
import type { Store } from '../../store/store.js';
import { parseLeaf, valueEnd, valueStart } from '../../tree/codec.js';
import type { StoredNode } from '../../tree/stored.js';
import { type CheckedEvents, EventCheck } from './check-events.js';
import { Problems, type Repair } from './problems.js';
import { readable, StoredRows } from './stored-rows.js';

export interface FsckProgress {
  readonly phase: 'nodes' | 'events' | 'indexes';
  /** Records or events gone through. */
  readonly done: number;
}

export interface FsckOptions {
  readonly onProgress?: (progress: FsckProgress) => void;
  /** Problems listed at most; all are counted. */
  readonly problemsMax?: number;
}

export interface FsckReport {
  readonly events: number;
  /** Records of nodes, and nodes in them. */
  readonly records: number;
  readonly nodes: number;
  readonly rooms: number;
  /** The first problems found. */
  readonly problems: readonly StoreProblem[];
  /** How many there are in all. */
  readonly problemCount: number;
  /** What helps: `rebuild` makes indexes and nodes anew; `lost` means that events themselves are damaged. */
  readonly repair: Repair;
}

const PROBLEMS_MAX = 1_000;
const PROGRESS_RECORDS = 1_000;

/** Checks a store. Costs a read of everything, a hash of every event and node. */
export async function fsck(store: Store, options: FsckOptions = {}): Promise<FsckReport> {
  const frozen = new FrozenStore(store);
  try {
    const problems = new Problems(options.problemsMax ?? PROBLEMS_MAX);
    const rows = new StoredRows(frozen);
    const report = await checkAll(rows, problems, options.onProgress ?? (() => undefined));
    return { ...report, problems: problems.list, problemCount: problems.count, repair: problems.repair };
  } finally {
    await frozen.close();
  }
}

async function checkAll(
  rows: StoredRows,
  problems: Problems,
  onProgress: (progress: FsckProgress) => void,
): Promise<Pick<FsckReport, 'events' | 'records' | 'nodes' | 'rooms'>> {
  const nodes = await checkTree(rows, problems, (done) => onProgress({ phase: 'nodes', done }));
  const check = new EventCheck(rows, nodes.table, problems);
  const events = await check.run((done) => onProgress({ phase: 'events', done }));
  onProgress({ phase: 'indexes', done: 0 });
  await check.checkSuperfluous();
  await checkTraces(rows, nodes, problems);
  await checkQueues(rows, problems);
  await checkCounters(rows, nodes, events, problems);
  return { events: events.events, records: nodes.records, nodes: nodes.nodes, rooms: events.rooms };
}

// ---- nodes

const IDS_SEEN_MAX = 65_536;

async function checkTree(
  rows: StoredRows,
  problems: Problems,
  onProgress: (done: number) => void,
): Promise<CheckedNodes> {
  const rules = await rulesByRoomNumber(rows);
  const entries = new EntryCheck(rows, problems);
  let done = 0;
  return checkNodes(rows.frozen, {
    onProblem: problems.add,
    onRecord: (record, roomNumber) => {
      if (!rules.has(roomNumber)) {
        problems.add({
          code: 'NODE_ROOM_UNKNOWN',
          message: `record ${record} holds nodes of a room that is not there`,
          fields: { record, room_number: roomNumber },
        });
      }
      if (++done % PROGRESS_RECORDS === 0) onProgress(done);
    },
    onNode: (node, roomNumber) => {
      const ofRoom = rules.get(roomNumber);
      if (node.isLeaf && ofRoom !== undefined) entries.check(node, ofRoom);
    },
  });
}

async function rulesByRoomNumber(rows: StoredRows): Promise<Map<number, RoomVersionRules>> {
  const rules = new Map<number, RoomVersionRules>();
  for await (const [, value] of rows.frozen.rows(keyspaceRange('rooms'))) {
    const room = readable(() => decodeRoom(value));
    const ofRoom = room === undefined ? undefined : storedRulesOf(room.version);
    if (room !== undefined && ofRoom !== undefined) rules.set(room.number, ofRoom);
  }
  return rules;
}

/** Are the events in a leaf's entries known? Versions of one leaf mostly hold the same ones. */
class EntryCheck {
  readonly #rows: StoredRows;
  readonly #problems: Problems;
  readonly #seen = new ClockCache<string, true>(IDS_SEEN_MAX);

  constructor(rows: StoredRows, problems: Problems) {
    this.#rows = rows;
    this.#problems = problems;
  }

  check({ bytes, record, index }: StoredNode, rules: RoomVersionRules): void {
    // A whole version that others lean on may name records of this server that were collected since. Those that a
    // state names are counted where the events are gone through.
    if (rules.isInternal) return;
    const { fixed, count, spans } = parseLeaf(bytes);
    for (let i = 0; i < count; i++) {
      const keyEnd = spans[i * 2 + 1] as number;
      const value = bytes.subarray(valueStart(bytes, fixed, keyEnd), valueEnd(bytes, fixed, keyEnd));
      const id = readable(() => idOfValue(value, rules));
      if (id !== undefined && this.#seen.get(id) === true) continue;
      if (id !== undefined && this.#rows.seqOf(id) !== undefined) {
        this.#seen.set(id, true, 1);
        continue;
      }
      this.#problems.add({
        code: 'NODE_ENTRY_UNKNOWN',
        message: `tree node ${index} of record ${record} names the event ${id ?? '(unreadable)'}, which is not known`,
        fields: { record, index, event_id: id },
      });
    }
  }
}

// ---- indexes

async function checkTraces(rows: StoredRows, { table }: CheckedNodes, problems: Problems): Promise<void> {
  for await (const [key, value] of rows.frozen.rows(keyspaceRange('traces'))) {
    const traceId = nameOfKey(key);
    const isRight = readable(() => {
      const { roomId, root, inputs } = decodeValue<StoredTrace>(value, 'trace');
      const roots = [root, ...inputs].filter(({ record }) => record !== 0);
      const room = rows.room(roomId);
      return room !== undefined && roots.every((ref) => table.holds(ref, room.number));
    });
    if (isRight === true) continue;
    problems.add({
      code: 'TRACE_WRONG',
      message: `the resolution ${traceId} cannot be read, or names a room or roots that are not there`,
      fields: { trace: traceId },
    });
  }
}

async function checkQueues(rows: StoredRows, problems: Problems): Promise<void> {
  const tell = (key: Buffer): void => {
    const position = numberOfKey(key);
    problems.add({
      code: 'QUEUE_UNREADABLE',
      message: `the queued row at position ${position} cannot be read`,
      fields: { position },
    });
  };
  const horizon = queueRange(HORIZON_QUEUE);
  for await (const [key, value] of rows.frozen.rows(keyspaceRange('queues'))) {
    const row = readable(() => ({ value: decodeValue<unknown>(value, 'queue row') }));
    const isWaiting = key.compare(horizon.gte) >= 0 && key.compare(horizon.lt) < 0;
    const isRight =
      row !== undefined && (!isWaiting || readable(() => pduOfRow(row.value as HorizonRow)) !== undefined);
    if (!isRight) tell(key);
  }
}

async function checkCounters(
  rows: StoredRows,
  nodes: CheckedNodes,
  events: CheckedEvents,
  problems: Problems,
): Promise<void> {
  const bytes = rows.frozen.get(metaKey(COUNTERS_KEY));
  const stored =
    bytes === undefined ? undefined : readable(() => decodeValue<Partial<Counters>>(bytes, 'counters'));
  const counters: Counters = { ...NO_COUNTERS, ...stored };
  const wrong = (name: keyof Counters, should: string): void =>
    problems.add({
      code: 'COUNTERS_WRONG',
      message: `the counter ${name} is ${counters[name]}, it should be ${should}`,
      fields: { counter: name, value: counters[name] },
    });
  const counted = {
    events: events.events,
    stateEvents: events.stateEvents,
    nodeRecords: nodes.records,
    nodeBytes: nodes.bytes,
  };
  for (const name of ['events', 'stateEvents', 'nodeRecords', 'nodeBytes'] as const) {
    if (counters[name] !== counted[name]) wrong(name, String(counted[name]));
  }
  const used = {
    seq: await lastNumber(rows, 'events'),
    record: await lastNumber(rows, 'nodes'),
    rooms: await lastRoomNumber(rows),
    queuePosition: await lastNumber(rows, 'queues'),
  };
  for (const name of ['seq', 'record', 'rooms', 'queuePosition'] as const) {
    if (!(counters[name] >= used[name])) wrong(name, `at least ${used[name]}`);
  }
}

async function lastNumber(rows: StoredRows, keyspace: 'events' | 'nodes' | 'queues'): Promise<number> {
  let last = 0;
  for await (const key of rows.frozen.keys(keyspaceRange(keyspace))) last = Math.max(last, numberOfKey(key));
  return last;
}

async function lastRoomNumber(rows: StoredRows): Promise<number> {
  let last = 0;
  for await (const [, value] of rows.frozen.rows(keyspaceRange('rooms'))) {
    last = Math.max(last, readable(() => decodeRoom(value).number) ?? 0);
  }
  return last;
}
