// Messages to devices of other servers' users: each is kept until its server has it, and goes in the order in
// which it was sent.
//
// A message is one EDU, with an id that its server knows it by if it comes twice.
//
// Source: server-server API, "Send-to-device messaging".

import { randomBytes } from 'node:crypto';
import type { Engine } from '../../engine/engine.js';
import { serverOf, type ServerName, type UserId } from '../../event/ids.js';
import type { JsonObject } from '../../event/json.js';
import { toBase64Url } from '../../lib/base64.js';

const QUEUE = 'to_device_out';
const MESSAGE_ID_BYTES = 16;
/** A message for many devices is cut into EDUs of about so many bytes. */
const EDU_BYTES = 128 * 1024;

interface Row {
  readonly server: ServerName;
  /** The EDU as JSON. */
  readonly text: string;
}

export type MessagesByDevice = ReadonlyMap<UserId, ReadonlyMap<string, JsonObject>>;

/** Told of messages that were given up because too many waited. */
type OnDropped = (server: ServerName, count: number) => void;

export class ToDeviceOutbox {
  readonly #queue;
  readonly #waitingMax: number;
  readonly #onDropped: OnDropped;
  /** Places of what waits, oldest first. */
  readonly #byServer = new Map<ServerName, number[]>();

  private constructor(engine: Engine, waitingMax: number, onDropped: OnDropped) {
    this.#queue = engine.queue<Row>(QUEUE);
    this.#waitingMax = waitingMax;
    this.#onDropped = onDropped;
  }

  static async open(engine: Engine, waitingMax: number, onDropped: OnDropped): Promise<ToDeviceOutbox> {
    const outbox = new ToDeviceOutbox(engine, waitingMax, onDropped);
    for await (const [place, { server }] of outbox.#queue.entries()) outbox.#placesOf(server).push(place);
    return outbox;
  }

  /** Servers that something waits for. */
  servers(): Iterable<ServerName> {
    return this.#byServer.keys();
  }

  /** How much waits for a server, or for all. */
  count(server?: ServerName): number {
    if (server !== undefined) return this.#byServer.get(server)?.length ?? 0;
    let count = 0;
    for (const places of this.#byServer.values()) count += places.length;
    return count;
  }

  /**
   * Keeps messages; they are handed to the writer before this returns. Resolves when they are on disk.
   * @returns the servers that they go to
   */
  async add(sender: UserId, type: string, messages: MessagesByDevice): Promise<ReadonlySet<ServerName>> {
    const rows = rowsOf(sender, type, messages);
    const places = await this.#queue.add(rows);
    const servers = new Set<ServerName>();
    rows.forEach(({ server }, i) => {
      const place = places[i];
      if (place !== undefined) this.#placesOf(server).push(place);
      servers.add(server);
    });
    await this.#dropOldest(servers);
    return servers;
  }

  /** The oldest that wait for a server: their places, and their texts. */
  first(server: ServerName, countMax: number, bytesMax: number): ReadonlyArray<readonly [number, string]> {
    const found: [number, string][] = [];
    let bytes = 0;
    for (const place of this.#byServer.get(server) ?? []) {
      if (found.length >= countMax) break;
      const text = this.text(place);
      if (text === undefined) continue;
      bytes += text.length;
      if (found.length > 0 && bytes > bytesMax) break;
      found.push([place, text]);
    }
    return found;
  }

  /** The EDU at a place, if it is still there. */
  text(place: number): string | undefined {
    return this.#queue.get(place)?.text;
  }

  /** The server has them; handed to the writer before this returns. */
  async remove(server: ServerName, places: readonly number[]): Promise<void> {
    const gone = new Set(places);
    const left = (this.#byServer.get(server) ?? []).filter((place) => !gone.has(place));
    if (left.length === 0) this.#byServer.delete(server);
    else this.#byServer.set(server, left);
    await this.#queue.remove(places);
  }

  async #dropOldest(servers: Iterable<ServerName>): Promise<void> {
    for (const server of servers) {
      const places = this.#placesOf(server);
      const tooMany = places.slice(0, Math.max(0, places.length - this.#waitingMax));
      if (tooMany.length === 0) continue;
      this.#onDropped(server, tooMany.length);
      await this.remove(server, tooMany);
    }
  }

  #placesOf(server: ServerName): number[] {
    const places = this.#byServer.get(server) ?? [];
    this.#byServer.set(server, places);
    return places;
  }
}

function rowsOf(sender: UserId, type: string, messages: MessagesByDevice): Row[] {
  const byServer = new Map<ServerName, Map<UserId, ReadonlyMap<string, JsonObject>>>();
  for (const [userId, devices] of messages) {
    const server = serverOf(userId);
    const users = byServer.get(server) ?? new Map<UserId, ReadonlyMap<string, JsonObject>>();
    byServer.set(server, users.set(userId, devices));
  }
  return [...byServer].flatMap(([server, users]) =>
    partsOf(users).map((part) => ({ server, text: eduText(sender, type, part) })),
  );
}

/** A server's messages in parts of bearable size. */
function partsOf(users: MessagesByDevice): Map<UserId, Map<string, JsonObject>>[] {
  let part = new Map<UserId, Map<string, JsonObject>>();
  const parts = [part];
  let bytes = 0;
  for (const [userId, devices] of users) {
    for (const [deviceId, content] of devices) {
      const size = JSON.stringify(content).length;
      if (bytes > 0 && bytes + size > EDU_BYTES) {
        parts.push((part = new Map<UserId, Map<string, JsonObject>>()));
        bytes = 0;
      }
      bytes += size;
      const ofUser = part.get(userId) ?? new Map<string, JsonObject>();
      part.set(userId, ofUser.set(deviceId, content));
    }
  }
  return parts.filter(({ size }) => size > 0);
}

function eduText(sender: UserId, type: string, messages: MessagesByDevice): string {
  return JSON.stringify({
    edu_type: 'm.direct_to_device',
    content: {
      sender,
      type,
      message_id: toBase64Url(randomBytes(MESSAGE_ID_BYTES)),
      messages: Object.fromEntries(
        [...messages].map(([userId, devices]) => [userId, Object.fromEntries(devices)]),
      ),
    },
  });
}
