// States over plain maps, that count what they are asked: the test double of the state tree.
//
// Reads are counted as a tree of 16 entries a node would make them, without any cache: a look-up reads one
// node a level, a difference reads one node a level in both states for each key that differs.

import { createHash } from 'node:crypto';
import type { EventId } from '../../../src/event/ids.js';
import type { Pdu } from '../../../src/event/pdu.js';
import type { States, StateVariance } from '../../../src/room/resolution/contract.js';

export interface Entry {
  readonly type: string;
  readonly stateKey: string;
  readonly eventId: EventId;
}

/** One immutable state; `digest` is the same for equal states, however they came about. */
export interface MapRoot {
  readonly entries: ReadonlyMap<string, Entry>;
  readonly digest: bigint;
}

export class MapStates implements States<MapRoot> {
  readonly empty: MapRoot = { entries: new Map(), digest: 0n };
  nodesRead = 0;
  /** How many times all entries of a state were asked for. */
  fullReads = 0;

  hash(root: MapRoot): string {
    return root.digest.toString(16).padStart(32, '0');
  }

  get(root: MapRoot, type: string, stateKey: string): EventId | undefined {
    this.nodesRead += levels(root);
    return root.entries.get(mapKey(type, stateKey))?.eventId;
  }

  /** As a tree would: a key that is not the same in all is read once for each value that it has. */
  *diffMany(roots: readonly MapRoot[]): Generator<StateVariance> {
    const keys = new Map(roots.flatMap(({ entries }) => [...entries]));
    for (const [key, { type, stateKey }] of keys) {
      const holders = new Map<EventId | undefined, number[]>();
      roots.forEach(({ entries }, i) => {
        const eventId = entries.get(key)?.eventId;
        holders.set(eventId, [...(holders.get(eventId) ?? []), i]);
      });
      const [[rest] = [undefined], ...others] = holders;
      if (others.length === 0) continue;
      this.nodesRead += holders.size * Math.max(...roots.map(levels));
      yield { type, stateKey, rest, others: others.map(([eventId, states]) => ({ eventId, states })) };
    }
  }

  *entries(root: MapRoot): Generator<Entry> {
    this.fullReads++;
    for (const entry of root.entries.values()) {
      this.nodesRead++;
      yield entry;
    }
  }

  update(
    root: MapRoot,
    changes: Iterable<{ readonly type: string; readonly stateKey: string; readonly event: Pdu | undefined }>,
  ): MapRoot {
    const entries = new Map(root.entries);
    let { digest } = root;
    for (const { type, stateKey, event } of changes) {
      this.nodesRead += levels(root);
      const key = mapKey(type, stateKey);
      const before = entries.get(key);
      if (before !== undefined) digest ^= digestOf(before);
      entries.delete(key);
      if (event === undefined) continue;
      const entry = { type, stateKey, eventId: event.eventId };
      entries.set(key, entry);
      digest ^= digestOf(entry);
    }
    return { entries, digest };
  }

  /** The state that holds these events. */
  of(events: Iterable<Pdu>): MapRoot {
    return this.update(this.empty, [...events].map(changeOf));
  }
}

/** The change that an event makes to a state. */
export function changeOf(event: Pdu): {
  readonly type: string;
  readonly stateKey: string;
  readonly event: Pdu;
} {
  return { type: event.type, stateKey: event.stateKey ?? '', event };
}

function mapKey(type: string, stateKey: string): string {
  return JSON.stringify([type, stateKey]);
}

function levels(root: MapRoot): number {
  return Math.max(1, Math.ceil(Math.log2(root.entries.size + 1) / 4));
}

function digestOf({ type, stateKey, eventId }: Entry): bigint {
  const bytes = createHash('sha256')
    .update(JSON.stringify([type, stateKey, eventId]))
    .digest();
  return BigInt(`0x${bytes.subarray(0, 16).toString('hex')}`);
}
