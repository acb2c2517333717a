// Messages to devices: each is kept until its device has acknowledged it, and then taken away.
//
//   !user/ID    stateroom.to_device / device, random    { type, sender, content }
//
// A message's place in the queue is the seq of its record. The queues of a user are held in memory as the
// committed state of the room has them, and brought up to date by the difference to the state as it is now:
// so whoever is woken by a message finds it, and a queue that is not looked at costs nothing.
//
// Source: client-server API, "Send-to-Device messaging".

import type { InternalRecord } from '../core/internal.js';
import type { Engine } from '../engine/engine.js';
import type { EventId, UserId } from '../event/ids.js';
import { isObject, type JsonObject, own } from '../event/json.js';
import { toBase64Url } from '../lib/base64.js';
import { ClockCache } from '../lib/clock-cache.js';
import type { StateView } from '../reader/state-view.js';
import type { StateChange } from '../room/resolution/contract.js';
import { TreeNodeMissing } from '../tree/errors.js';
import { EMPTY_ROOT } from '../tree/tree.js';
import type { RootRef } from '../tree/types.js';
import { type AccountParts, joinKey, splitKey, textOf, userRoom } from './parts.js';

const TO_DEVICE = 'stateroom.to_device';
const KEY_BYTES = 12;
/** Messages that wait for a device at most: one more, and the oldest goes. */
const QUEUE_MAX = 10_000;
/** Messages whose places are held in memory, about 160 bytes each; a user counts as some, without any. */
const HELD_MAX = 100_000;
const USER_HELD = 5;

/** What is sent to one device. */
export interface ToDeviceMessage {
  readonly userId: UserId;
  readonly deviceId: string;
  readonly type: string;
  readonly sender: UserId;
  readonly content: JsonObject;
}

/** A message that waits. */
export interface WaitingMessage {
  readonly seq: number;
  readonly type: string;
  readonly sender: string;
  readonly content: JsonObject;
}

interface Entry {
  readonly seq: number;
  readonly eventId: EventId;
  readonly stateKey: string;
}

/** A user's queues in one state of their room. */
interface Queues {
  readonly root: RootRef;
  /** By device, oldest first. */
  readonly byDevice: ReadonlyMap<string, Entry[]>;
}

/** One for all users for whom nothing waits, who are nearly all. */
const NONE: ReadonlyMap<string, Entry[]> = new Map<string, Entry[]>();

export class ToDevice {
  readonly #parts: AccountParts;
  readonly #engine: Engine;
  readonly #queueMax: number;
  readonly #queues = new ClockCache<UserId, Queues>(HELD_MAX);

  constructor(parts: AccountParts, queueMax = QUEUE_MAX) {
    this.#parts = parts;
    this.#engine = parts.engine;
    this.#queueMax = queueMax;
  }

  /** The records of messages to devices of this server that are there; messages to others are nobody's. */
  records(messages: readonly ToDeviceMessage[]): readonly InternalRecord[] {
    return messages.flatMap(({ userId, deviceId, type, sender, content }) => {
      const roomId = userRoom(userId);
      const stateKey = joinKey(deviceId, toBase64Url(this.#parts.randomBytes(KEY_BYTES)));
      const queue = this.#queue(userId, deviceId);
      const tooOld = queue.slice(0, Math.max(0, queue.length + 1 - this.#queueMax));
      return [
        ...tooOld.map((entry) => ({ roomId, type: TO_DEVICE, stateKey: entry.stateKey, content: undefined })),
        { roomId, type: TO_DEVICE, stateKey, content: { type, sender, content } },
      ];
    });
  }

  /**
   * What waits for a device, in the order in which it came.
   * @param after seq of the last message that is known
   * @param upTo nothing that was committed after this seq
   */
  after(
    userId: UserId,
    deviceId: string,
    after: number,
    limit: number,
    upTo = Number.POSITIVE_INFINITY,
  ): WaitingMessage[] {
    const waiting = this.#queue(userId, deviceId).filter(({ seq }) => seq > after && seq <= upTo);
    return waiting.slice(0, limit).flatMap(({ seq, eventId }) => {
      const stored = this.#engine.reader.events.get(eventId)?.pdu.content;
      if (stored === undefined) return [];
      const content = own(stored, 'content');
      const type = textOf(stored, 'type') ?? '';
      return [
        { seq, type, sender: textOf(stored, 'sender') ?? '', content: isObject(content) ? content : {} },
      ];
    });
  }

  /** The device has all messages up to a seq: they are taken away. */
  async acknowledge(userId: UserId, deviceId: string, seq: number): Promise<void> {
    const roomId = userRoom(userId);
    const known = this.#queue(userId, deviceId).filter((entry) => entry.seq <= seq);
    const records = known.map(({ stateKey }) => ({ roomId, type: TO_DEVICE, stateKey, content: undefined }));
    if (records.length > 0) await this.#engine.internal.write(records);
  }

  /** Of messages that are not on disk yet as well. */
  readonly removalRecords = (userId: UserId, deviceId: string): readonly InternalRecord[] => {
    const roomId = userRoom(userId);
    return [...this.#engine.internal.entries(roomId, TO_DEVICE)]
      .filter(({ stateKey }) => splitKey(stateKey)[0] === deviceId)
      .map(({ stateKey }) => ({ roomId, type: TO_DEVICE, stateKey, content: undefined }));
  };

  #queue(userId: UserId, deviceId: string): readonly Entry[] {
    const room = this.#engine.store.room(userRoom(userId));
    if (room === undefined) return [];
    const now = this.#engine.reader.view(room.roomId, room.root);
    const held = this.#queues.get(userId) ?? {
      root: EMPTY_ROOT,
      byDevice: NONE,
    };
    const queues = this.#broughtUpTo(now, held);
    const waiting = [...queues.byDevice.values()].reduce((sum, entries) => sum + entries.length, 0);
    this.#queues.set(userId, queues, USER_HELD + waiting);
    return queues.byDevice.get(deviceId) ?? [];
  }

  #broughtUpTo(now: StateView, held: Queues): Queues {
    const known = held.root.count === 0 ? undefined : changesOrNone(now.at(held.root), now);
    const byDevice = new Map(known === undefined ? NONE : held.byDevice);
    const changes = known ?? entriesAsChanges(now);
    const gone = new Set<string>();
    const came: Entry[] = [];
    for (const { type, stateKey, before, after } of changes) {
      if (type !== TO_DEVICE) continue;
      if (before !== undefined) gone.add(stateKey);
      const seq = after === undefined ? undefined : this.#engine.store.seqOf(after);
      if (after !== undefined && seq !== undefined) came.push({ seq, eventId: after, stateKey });
    }
    for (const deviceId of new Set([...gone].map((stateKey) => splitKey(stateKey)[0]))) {
      const left = (byDevice.get(deviceId) ?? []).filter(({ stateKey }) => !gone.has(stateKey));
      if (left.length === 0) byDevice.delete(deviceId);
      else byDevice.set(deviceId, left);
    }
    for (const entry of came.sort((a, b) => a.seq - b.seq)) {
      const [deviceId] = splitKey(entry.stateKey);
      const queue = byDevice.get(deviceId) ?? [];
      queue.push(entry);
      byDevice.set(deviceId, queue);
    }
    return { root: now.rootRef, byDevice: byDevice.size === 0 ? NONE : byDevice };
  }
}

/** What differs; undefined where the older state was collected meanwhile. */
function changesOrNone(before: StateView, now: StateView): StateChange[] | undefined {
  try {
    return [...before.diff(now)];
  } catch (error) {
    if (!(error instanceof TreeNodeMissing)) throw error;
    return undefined;
  }
}

/** The messages of a state, as if there had been none before. */
function* entriesAsChanges(now: StateView) {
  for (const { type, stateKey, eventId } of now.entries(TO_DEVICE)) {
    yield { type, stateKey, before: undefined, after: eventId };
  }
}
