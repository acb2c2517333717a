// Whose devices or cross-signing keys changed, and when: the position of a change is the seq of its record.
//
//   !device_lists    stateroom.device_list / user id        { device_id? }
//                    stateroom.signed_user / signer, user   {}
//
// Who changed between two points is a difference of two roots of this one room, whatever else happened
// meanwhile. A user's signature of another's key is shown to the signer alone, so the second record concerns
// the signer only. Other servers count the changes of a user's devices: each names the one before it. A change
// of cross-signing keys, which names no device, is not among them.
//
// Of a room whose state was incomplete when a client was told of it, that client knows some of the members, and
// may know some who are none: what it was told then is stored no more. When the state is whole it is told of all.
//
// Source: client-server API, "Tracking the device list for a user", GET /keys/changes; MSC3902.

import type { InternalRecord } from '../core/internal.js';
import type { CompletedState } from '../core/partial-states.js';
import type { Engine } from '../engine/engine.js';
import type { UserId } from '../event/ids.js';
import { internalRoomId } from '../event/internal.js';
import { compareCodePoints } from '../lib/bytes.js';
import type { StateView } from '../reader/state-view.js';
import { MEMBER_TYPE } from '../room/state/key.js';
import type { RoomRow } from '../store/records.js';
import { EMPTY_ROOT } from '../tree/tree.js';
import { changesSince } from './changes.js';
import type { Memberships } from './memberships.js';
import { type AccountParts, joinKey, splitKey, textOf } from './parts.js';

export const DEVICE_LISTS_ROOM = internalRoomId('device_lists');
/** The keys of the user whose id is the state key changed. */
export const DEVICE_LIST = 'stateroom.device_list';
const SIGNED_USER = 'stateroom.signed_user';
const ENCRYPTION = 'm.room.encryption';
/** Changes of cross-signing keys that are gone back over to find a device's. */
const CHANGES_BACK_MAX = 20;

/** Both sorted. */
export interface DeviceListChanges {
  /** Users whose keys are to be asked for again. */
  readonly changed: readonly UserId[];
  /** Users with whom no encrypted room is shared any more. */
  readonly left: readonly UserId[];
}

/** One change of a user's keys. */
export interface DeviceListChange {
  /** The device; undefined where it was cross-signing keys. */
  readonly deviceId: string | undefined;
  /** Seq of the change of a device of the user before it, where it is known. */
  readonly previous: number | undefined;
}

/** A room at the two ends of a span; undefined where the user was not joined. */
interface Span {
  readonly before: StateView | undefined;
  readonly after: StateView | undefined;
  /** Users who were, or may have been, known to be in it at its begin, which was incomplete then, and are not now. */
  readonly undone: readonly UserId[];
}

/** Whose keys a record of the room says to have changed, as far as `userId` is concerned. */
function changedUserOf(type: string, stateKey: string, userId: UserId): UserId | undefined {
  if (type === DEVICE_LIST) return stateKey as UserId;
  if (type !== SIGNED_USER) return undefined;
  const [signer, signed] = splitKey(stateKey);
  return signer === userId ? (signed as UserId) : undefined;
}

export class DeviceLists {
  readonly #engine: Engine;
  readonly #memberships: Memberships;

  constructor({ engine }: AccountParts, memberships: Memberships) {
    this.#engine = engine;
    this.#memberships = memberships;
  }

  /**
   * To be written with whatever changes a user's keys.
   * @param deviceId the device whose keys changed; without one it is the user's cross-signing keys
   */
  changedRecord(userId: UserId, deviceId?: string): InternalRecord {
    const content = deviceId === undefined ? {} : { device_id: deviceId };
    return { roomId: DEVICE_LISTS_ROOM, type: DEVICE_LIST, stateKey: userId, content };
  }

  /** Which version of a user's devices this is, as other servers are told: the seq of the last change; or 0. */
  streamId(userId: UserId): number {
    const room = this.#engine.store.room(DEVICE_LISTS_ROOM);
    if (room === undefined) return 0;
    return this.#lastDeviceChange(this.#current(room), userId) ?? 0;
  }

  /** Seq of the newest change of a user's devices or cross-signing keys; 0 where there was none. */
  newestChange(userId: UserId): number {
    const room = this.#engine.store.room(DEVICE_LISTS_ROOM);
    const id = room === undefined ? undefined : this.#current(room).get(DEVICE_LIST, userId);
    return (id === undefined ? undefined : this.#engine.store.seqOf(id)) ?? 0;
  }

  /** The change that was committed at a seq; undefined where there was none. */
  changeAt(seq: number): DeviceListChange | undefined {
    const event = this.#engine.reader.events.at(seq);
    if (event?.pdu.type !== DEVICE_LIST || event.pdu.stateKey === undefined) return undefined;
    const before = event.roots && this.#engine.reader.view(DEVICE_LISTS_ROOM, event.roots.before);
    return {
      deviceId: textOf(event.pdu.content, 'device_id'),
      previous: before && this.#lastDeviceChange(before, event.pdu.stateKey as UserId),
    };
  }

  /** Goes back over changes of cross-signing keys; where there are too many of them nothing is known. */
  #lastDeviceChange(state: StateView, userId: UserId): number | undefined {
    let view = state;
    for (let hops = 0; hops < CHANGES_BACK_MAX; hops++) {
      const id = view.get(DEVICE_LIST, userId);
      const event = id === undefined ? undefined : this.#engine.reader.events.get(id);
      if (event === undefined || textOf(event.pdu.content, 'device_id') !== undefined) return event?.seq;
      if (event.roots === undefined) return undefined;
      view = view.at(event.roots.before);
    }
    return undefined;
  }

  /** To be written with a signature of another user's key. */
  signedRecord(signer: UserId, signed: UserId): InternalRecord {
    return { roomId: DEVICE_LISTS_ROOM, type: SIGNED_USER, stateKey: joinKey(signer, signed), content: {} };
  }

  /**
   * What a user is to be told of what happened after a seq, up to another (all that is committed).
   *
   * `changed`: users who share a room with the user, and the user, whose keys changed; and those with whom
   * the user shares an encrypted room now and did not before. `left`: those with whom that was so, and is no
   * more. A room in which nothing happened costs two point reads; another the difference of its states.
   */
  async changedSince(userId: UserId, after: number, upTo?: number): Promise<DeviceListChanges> {
    const to = upTo ?? this.#engine.watermark;
    const spans = await this.#spans(userId, after, to);
    const joined = spans.flatMap((span) => span.after ?? []);
    const encrypted = spans.map(
      ({ before, after: now, undone }): Span => ({
        before: before !== undefined && isEncrypted(before) ? before : undefined,
        after: now !== undefined && isEncrypted(now) ? now : undefined,
        undone,
      }),
    );
    const { came, went } = movedIn(encrypted);
    const knownBefore = sharing(
      encrypted.flatMap((span) => span.before ?? []),
      came,
    );
    const withNewKeys = await this.#withNewKeys(userId, after, to);
    const changed = sharing(joined, withNewKeys);
    if (withNewKeys.has(userId)) changed.add(userId);
    for (const other of came) if (!knownBefore.has(other)) changed.add(other);
    const stillKnown = sharing(
      encrypted.flatMap((span) => span.after ?? []),
      went,
    );
    const left = [...went].filter((other) => other !== userId && !stillKnown.has(other));
    for (const other of left) changed.delete(other);
    return { changed: [...changed].sort(compareCodePoints), left: left.sort(compareCodePoints) };
  }

  async #withNewKeys(userId: UserId, after: number, to: number): Promise<Set<UserId>> {
    const users = new Set<UserId>();
    const room = this.#engine.store.room(DEVICE_LISTS_ROOM);
    if (room === undefined || this.#newestSeq(room) <= after) return users;
    const before = await this.#stateAt(room, after);
    for (const { type, stateKey } of changesSince(before, await this.#stateAt(room, to))) {
      const changed = changedUserOf(type, stateKey, userId);
      if (changed !== undefined) users.add(changed);
    }
    return users;
  }

  async #spans(userId: UserId, after: number, to: number): Promise<Span[]> {
    const spans: Span[] = [];
    for (const roomId of (await this.#memberships.ofUser(userId)).keys()) {
      const room = this.#engine.store.room(roomId);
      if (room === undefined) continue;
      const newest = this.#newestSeq(room);
      const now = newest <= to ? this.#current(room) : await this.#stateAt(room, to);
      const before = newest <= after ? now : await this.#stateAt(room, after);
      spans.push(this.#span(userId, after, before, now));
    }
    return spans;
  }

  #span(userId: UserId, since: number, before: StateView, now: StateView): Span {
    const ifJoined = (view: StateView): StateView | undefined =>
      view.membership(userId) === 'join' ? view : undefined;
    const after = ifJoined(now);
    const completed = this.#engine.partial.completedAfter(now.roomId, since);
    if (completed === undefined) return { before: ifJoined(before), after, undone: [] };
    const wasTold = ifJoined(before) !== undefined && isEncrypted(before);
    return { before: undefined, after, undone: wasTold ? undoneMembers(before, after, now, completed) : [] };
  }

  /** The newest accepted event is a forward extremity: nothing can have come after it. */
  #newestSeq({ forwardExtremities }: RoomRow): number {
    return Math.max(0, ...forwardExtremities.map((id) => this.#engine.store.seqOf(id) ?? 0));
  }

  #current({ roomId, root }: RoomRow): StateView {
    return this.#engine.reader.view(roomId, root);
  }

  /** The room's state as this server saw it when everything up to a seq was committed. */
  async #stateAt(room: RoomRow, seq: number): Promise<StateView> {
    for await (const [, at] of this.#engine.store.timeline(room.number, {
      from: 0,
      to: seq + 1,
      reverse: true,
    })) {
      const roots = this.#engine.reader.events.at(at)?.roots;
      if (roots !== undefined) return this.#current(room).at(roots.room ?? roots.after);
    }
    return this.#current(room).at(EMPTY_ROOT);
  }
}

function isEncrypted(view: StateView): boolean {
  return view.get(ENCRYPTION) !== undefined;
}

/** Who came into one of the rooms, or went from one: its members all where the user or encryption did. */
function movedIn(spans: readonly Span[]): { readonly came: Set<UserId>; readonly went: Set<UserId> } {
  const came = new Set<UserId>();
  const went = new Set<UserId>();
  for (const { before, after, undone } of spans) {
    for (const userId of undone) went.add(userId);
    if (before !== undefined && after !== undefined) {
      for (const { type, stateKey } of before.diff(after)) {
        if (type !== MEMBER_TYPE) continue;
        const wasJoined = before.membership(stateKey) === 'join';
        const isJoined = after.membership(stateKey) === 'join';
        if (isJoined && !wasJoined) came.add(stateKey as UserId);
        if (wasJoined && !isJoined) went.add(stateKey as UserId);
      }
    } else {
      for (const { userId } of after?.members({ membership: 'join' }) ?? []) came.add(userId as UserId);
      for (const { userId } of before?.members({ membership: 'join' }) ?? []) went.add(userId as UserId);
    }
  }
  return { came, went };
}

/**
 * Users who may have been taken for members, and are not shared with now: those whose membership was told wrong, or
 * changed since; everybody where the user is gone. Where very many were wrong it is everybody who is no member.
 * @param after undefined when the user is not in the room any more
 */
function undoneMembers(
  before: StateView,
  after: StateView | undefined,
  now: StateView,
  { corrected }: CompletedState,
): UserId[] {
  const users = new Set<string>();
  const add = (type: string, stateKey: string): void => {
    if (type === MEMBER_TYPE && after?.membership(stateKey) !== 'join') users.add(stateKey);
  };
  for (const [type, stateKey] of corrected ?? []) add(type, stateKey);
  if (corrected === undefined) for (const { type, stateKey } of now.entries(MEMBER_TYPE)) add(type, stateKey);
  for (const { type, stateKey } of before.diff(now)) add(type, stateKey);
  if (after === undefined) for (const { userId } of before.members({ membership: 'join' })) users.add(userId);
  return [...users] as UserId[];
}

/** Those of the users who are in one of the rooms: each looked up, or the rooms listed where that is less. */
function sharing(rooms: readonly StateView[], users: ReadonlySet<UserId>): Set<UserId> {
  const members = rooms.reduce((sum, { joined }) => sum + joined, 0);
  if (members < users.size * rooms.length) {
    const found = new Set<UserId>();
    for (const room of rooms) {
      for (const { userId } of room.members({ membership: 'join' })) {
        if (users.has(userId as UserId)) found.add(userId as UserId);
      }
    }
    return found;
  }
  return new Set([...users].filter((user) => rooms.some((room) => room.membership(user) === 'join')));
}
