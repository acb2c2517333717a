// Which version a room has, from create events seen before the events are taken.
//
// Events may stand in a file before their room's create event. A first pass over the file looks for create
// events alone: almost every line is passed over by a search for their type in its bytes. What is found is a
// hint to read other events by; the create event itself is judged when its turn comes.

import { isObject, own, parseJson } from '../../event/json.js';
import { receiveJson, verifyReceived } from '../../event/receive.js';
import { rulesOf } from '../../event/rules.js';
import type { PublicKeys } from '../../event/verify.js';
import { StateroomError } from '../../lib/errors.js';

const CREATE_TYPE = Buffer.from('m.room.create"');
const ROOM_ID = Buffer.from('"room_id"');

/** Rooms remembered at most: beyond that an event must stand behind its create event. */
const ROOMS_MAX = 100_000;

export class RoomVersions {
  readonly #versions = new Map<string, string>();
  readonly #keys: PublicKeys | undefined;
  readonly #otherwise: string | undefined;

  /**
   * @param keys with keys only create events that are rightly signed count
   * @param otherwise the version of rooms whose create event was not seen
   */
  constructor(keys: PublicKeys | undefined, otherwise: string | undefined) {
    this.#keys = keys;
    this.#otherwise = otherwise;
  }

  /** Looks whether a line is a create event. */
  notice(line: Uint8Array): void {
    if (!asBuffer(line).includes(CREATE_TYPE) || this.#versions.size >= ROOMS_MAX) return;
    const created = createdRoom(line, this.#keys);
    if (created === undefined || this.#versions.has(created.roomId)) return;
    this.#versions.set(created.roomId, created.version);
  }

  /** The version to read an event by, where its room is not known yet. */
  versionFor(line: Uint8Array): string | undefined {
    if (this.#versions.size === 0) return this.#otherwise;
    const roomId = roomIdIn(line);
    return (roomId === undefined ? undefined : this.#versions.get(roomId)) ?? this.#otherwise;
  }
}

/** The room that a line creates, when it is a create event of the right form. */
function createdRoom(line: Uint8Array, keys: PublicKeys | undefined) {
  try {
    const json = parseJson(line);
    if (!isObject(json) || own(json, 'type') !== 'm.room.create') return undefined;
    const content = own(json, 'content');
    const version = isObject(content) ? (own(content, 'room_version') ?? '1') : undefined;
    const rules = typeof version === 'string' ? rulesOf(version) : undefined;
    if (rules === undefined) return undefined;
    const received = receiveJson(json, rules);
    if (keys !== undefined && !verifyReceived(received, keys).ok) return undefined;
    return { roomId: received.pdu.roomId as string, version: rules.version as string };
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

/** The event's room id. Where the field's name stands once in the bytes, no JSON is parsed to find it. */
function roomIdIn(line: Uint8Array): string | undefined {
  const buffer = asBuffer(line);
  const at = buffer.indexOf(ROOM_ID);
  if (at !== -1 && buffer.indexOf(ROOM_ID, at + ROOM_ID.length) === -1) {
    const from = buffer.indexOf('"', at + ROOM_ID.length);
    const to = from === -1 ? -1 : buffer.indexOf('"', from + 1);
    if (to !== -1) return buffer.toString('utf8', from + 1, to);
  }
  return at === -1 ? undefined : parsedRoomId(line);
}

function parsedRoomId(line: Uint8Array): string | undefined {
  try {
    const json = parseJson(line);
    const roomId = isObject(json) ? own(json, 'room_id') : undefined;
    return typeof roomId === 'string' ? roomId : undefined;
  } catch (error) {
    if (error instanceof StateroomError) return undefined;
    throw error;
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
