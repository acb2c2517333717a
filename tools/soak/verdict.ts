// The end of a soak: what clients came to know by their syncs alone against what the server says when asked.

import type { Client } from './client.js';
import { list, object, text } from './http.js';
import type { Ledger } from './ledger.js';
import { type RoomView, stateName } from './view.js';
import type { World } from './world.js';

/** Timeline events compared, newest first. */
const COMPARED_MAX = 100;

/** Everything that is compared, counted: a comparison of nothing proves nothing. */
export interface Compared {
  rooms: number;
  stateEntries: number;
  timelineEvents: number;
  receipts: number;
  accountData: number;
  toDevice: number;
}

export async function compareAll(
  clients: readonly Client[],
  world: World,
  ledger: Ledger,
): Promise<Compared> {
  const compared: Compared = {
    rooms: 0,
    stateEntries: 0,
    timelineEvents: 0,
    receipts: 0,
    accountData: 0,
    toDevice: 0,
  };
  for (const client of clients) await new Comparison(client, world, ledger, compared).run();
  compareReceipts(clients, ledger, compared);
  return compared;
}

class Comparison {
  readonly #client: Client;
  readonly #world: World;
  readonly #ledger: Ledger;
  readonly #compared: Compared;

  constructor(client: Client, world: World, ledger: Ledger, compared: Compared) {
    this.#client = client;
    this.#world = world;
    this.#ledger = ledger;
    this.#compared = compared;
  }

  async run(): Promise<void> {
    const { view } = this.#client;
    await this.#compareMemberships();
    for (const [roomId, room] of view.rooms) {
      this.#compared.rooms++;
      await this.#compareState(roomId, room);
      await this.#compareTimeline(roomId, room);
      await this.#compareAccountData(`/rooms/${encodeURIComponent(roomId)}`, room.accountData);
    }
    await this.#compareAccountData('', view.accountData);
    this.#compareToDevice();
  }

  #wrong(kind: string, finding: string): void {
    this.#ledger.unexpected(`view: ${kind}`, `${this.#client.name} (${this.#client.view.kind}): ${finding}`);
  }

  async #compareMemberships(): Promise<void> {
    const { view, userId } = this.#client;
    const answer = await this.#client.request('GET', '/joined_rooms');
    if (!this.#ledger.note('joined_rooms', answer)) return;
    const joined = new Set(list(answer.body['joined_rooms']).map(text));
    for (const roomId of joined) if (!view.rooms.has(roomId)) this.#wrong('room missing', roomId);
    for (const roomId of view.rooms.keys()) if (!joined.has(roomId)) this.#wrong('room superfluous', roomId);
    for (const room of this.#world.rooms) {
      if (room.isWild) continue;
      const membership = room.membership(userId);
      if ((membership === 'join') !== joined.has(room.roomId)) {
        this.#wrong('membership', `${room.roomId}: the server says otherwise than ${membership}`);
      }
      if ((membership === 'invite') !== view.invites.has(room.roomId)) {
        this.#wrong('invitation', `${room.roomId}: the view says otherwise than ${membership}`);
      }
    }
  }

  /** A client that loads members lazily may lack some; those that it has must be right. */
  async #compareState(roomId: string, { state, timeline }: RoomView): Promise<void> {
    const answer = await this.#client.request('GET', `/rooms/${encodeURIComponent(roomId)}/state`);
    if (!this.#ledger.note('state, in the end', answer)) return;
    const known = new Map(state);
    for (const event of list(answer.body['list']).map(object)) {
      const type = text(event['type']);
      const name = stateName(type, text(event['state_key']));
      const id = known.get(name);
      known.delete(name);
      this.#compared.stateEntries++;
      const isLeftOut = id === undefined && this.#client.view.kind === 'lazy' && type === 'm.room.member';
      if (id !== text(event['event_id']) && !isLeftOut) {
        this.#wrong('state', `${roomId} ${name}: ${String(id)} in place of ${text(event['event_id'])}`);
      }
    }
    for (const name of known.keys()) this.#wrong('state superfluous', `${roomId} ${name}`);
    for (const { sender } of timeline) {
      if (!state.has(stateName('m.room.member', sender)))
        this.#wrong('sender unknown', `${roomId} ${sender}`);
    }
  }

  async #compareTimeline(roomId: string, { timeline }: RoomView): Promise<void> {
    const events = timeline.slice(-COMPARED_MAX);
    if (events.length === 0) return;
    const answer = await this.#client.request('GET', `/rooms/${encodeURIComponent(roomId)}/messages`, {
      query: { dir: 'b', limit: String(events.length), from: this.#client.since },
    });
    if (!this.#ledger.note('messages, in the end', answer)) return;
    const ids = list(answer.body['chunk']).map((event) => text(object(event)['event_id']));
    this.#compared.timelineEvents += ids.length;
    const seen = events.map(({ id }) => id).reverse();
    const at = seen.findIndex((id, i) => id !== ids[i]);
    if (at !== -1) {
      this.#wrong(
        'timeline',
        `${roomId}: ${String(seen[at])} in place of ${String(ids[at])}, ${at} from the end`,
      );
    }
  }

  async #compareAccountData(path: string, known: ReadonlyMap<string, unknown>): Promise<void> {
    for (const [type, content] of known) {
      if (type === 'm.push_rules') continue;
      const url = `/user/${this.#client.userId}${path}/account_data/${type}`;
      const answer = await this.#client.request('GET', url);
      if (!this.#ledger.note('account data, in the end', answer)) continue;
      this.#compared.accountData++;
      if (JSON.stringify(answer.body) !== JSON.stringify(content))
        this.#wrong('account data', `${path} ${type}`);
    }
  }

  /** Everything sent to the device is there, once, and what one sender sent in its order. */
  #compareToDevice(): void {
    const { userId, deviceId, received, inOrder, beginnings } = this.#client;
    const sent = this.#world.sentToDevices.filter(
      (message) => message.deviceId === deviceId && message.userId === userId,
    );
    for (const { id } of sent) {
      this.#compared.toDevice++;
      const times = received.get(id) ?? 0;
      if (times === 0) this.#wrong('to-device lost', id);
      if (times > 1 + beginnings) this.#wrong('to-device repeated', `${id} x ${times}`);
    }
    const places = new Map(inOrder.map((id, place) => [id, place]));
    const newest = new Map<string, number>();
    for (const { id, sender } of sent) {
      const place = places.get(id) ?? -1;
      if (place < (newest.get(sender) ?? -1)) this.#wrong('to-device order', id);
      newest.set(sender, place);
    }
  }
}

/** Receipts cannot be asked for: who is in a room must have been told what the others there were told. */
function compareReceipts(clients: readonly Client[], ledger: Ledger, compared: Compared): void {
  const first = new Map<string, { readonly client: Client; readonly receipts: RoomView['receipts'] }>();
  for (const client of clients) {
    for (const [roomId, { receipts }] of client.view.rooms) {
      const told = first.get(roomId);
      if (told === undefined) {
        first.set(roomId, { client, receipts });
        continue;
      }
      compared.receipts += receipts.size;
      const users = new Set([...receipts.keys(), ...told.receipts.keys()]);
      for (const userId of users) {
        if (receipts.get(userId) === told.receipts.get(userId)) continue;
        const finding = `${roomId} ${userId}: ${client.name} and ${told.client.name} were told otherwise`;
        ledger.unexpected('view: receipts', finding);
      }
    }
  }
}
