// Reads and hashes every stored node and checks what nodes say of each other: the children of each, and the
// whole version that it leans on.
//
// A node refers only to places before its own (earlier records, or lower in its own record), so one pass in
// rising order has seen whatever a node refers to. Faults are told, not thrown.

import { type ErrorFields, StateroomError } from '../lib/errors.js';
import { readRecordTable } from '../tree/record.js';
import { inRecord, readStoredNode, type StoredNode } from '../tree/stored.js';
import type { NodeLocation, RecordSource } from '../tree/types.js';
import type { FrozenStore } from './frozen.js';
import { keyspaceRange, numberOfKey } from './keys.js';
import { roomOfHeader } from './node-records.js';
import { NodeTable } from './node-table.js';

/** What is wrong, with a stable code. */
export interface StoreProblem {
  readonly code: string;
  readonly message: string;
  readonly fields: ErrorFields;
}

export interface NodeCheck {
  readonly onProblem: (problem: StoreProblem) => void;
  /** Called for each record with its room's number. */
  readonly onRecord?: (record: number, roomNumber: number) => void;
  /** Called for each node that is right in itself. */
  readonly onNode?: (node: StoredNode, roomNumber: number) => void;
}

export interface CheckedNodes {
  readonly table: NodeTable;
  readonly records: number;
  readonly nodes: number;
  readonly bytes: number;
}

/** Checks all nodes; memory grows by 8 bytes for each. */
export async function checkNodes(frozen: FrozenStore, check: NodeCheck): Promise<CheckedNodes> {
  const table = new NodeTable();
  const source = new RecentRecords(frozen);
  let records = 0;
  let nodes = 0;
  let bytes = 0;
  for await (const [key, value] of frozen.rows(keyspaceRange('nodes'))) {
    const record = numberOfKey(key);
    records++;
    bytes += value.length;
    source.hold(record, value);
    nodes += checkRecord(source, record, value, table, check);
  }
  return { table, records, nodes, bytes };
}

/** @returns how many nodes the record holds */
function checkRecord(
  source: RecordSource,
  record: number,
  bytes: Uint8Array,
  table: NodeTable,
  { onProblem, onRecord, onNode }: NodeCheck,
): number {
  const head = attempt(onProblem, () =>
    inRecord({ record, index: 0 }, () => {
      const { header, starts } = readRecordTable(bytes);
      return { roomNumber: roomOfHeader(header), starts };
    }),
  );
  if (head === undefined) return 0;
  const { roomNumber, starts } = head;
  table.addRecord(record, roomNumber);
  onRecord?.(record, roomNumber);
  let nodes = 0;
  for (let index = 0; index + 1 < starts.length; index++) {
    const isHole = starts[index] === starts[index + 1];
    const node = isHole ? undefined : attempt(onProblem, () => readStoredNode(source, { record, index }));
    if (!isHole) nodes++;
    if (node !== undefined) {
      for (const child of node.children) {
        if (!table.holds(child, roomNumber)) onProblem(wrongChild(node, child, table));
      }
      onNode?.(node, roomNumber);
    }
    table.addNode(node);
  }
  return nodes;
}

function wrongChild({ record, index }: NodeLocation, child: NodeLocation, table: NodeTable): StoreProblem {
  const isThere = table.ordinalOf(child) !== -1;
  return {
    code: isThere ? 'NODE_CORRUPT' : 'NODE_MISSING',
    message:
      `tree node ${child.index} of record ${child.record}, which node ${index} of record ${record} refers to, ` +
      (isThere ? 'is damaged, or another one than it should be' : 'is not there'),
    fields: { record: child.record, index: child.index, from_record: record, from_index: index },
  };
}

/** Runs `read` and tells what it throws for damage. */
function attempt<Result>(onProblem: NodeCheck['onProblem'], read: () => Result): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof StateroomError)) throw error;
    const code = error.code === 'TREE_NODE_MISSING' ? 'NODE_MISSING' : 'NODE_CORRUPT';
    onProblem({ code, message: error.message, fields: error.fields });
    return undefined;
  }
}

const RECORDS_HELD = 64;

/** The records read last: nodes lean on versions that are mostly not far. */
export class RecentRecords implements RecordSource {
  readonly #source: RecordSource;
  readonly #held = new Map<number, Uint8Array>();

  constructor(source: RecordSource) {
    this.#source = source;
  }

  readRecord(record: number): Uint8Array | undefined {
    const held = this.#held.get(record);
    if (held !== undefined) return held;
    const bytes = this.#source.readRecord(record);
    if (bytes !== undefined) this.hold(record, bytes);
    return bytes;
  }

  hold(record: number, bytes: Uint8Array): void {
    this.#held.set(record, bytes);
    if (this.#held.size <= RECORDS_HELD) return;
    for (const oldest of this.#held.keys()) {
      this.#held.delete(oldest);
      return;
    }
  }
}
