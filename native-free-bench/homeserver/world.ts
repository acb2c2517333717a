// Users and rooms for a homeserver, written into a data folder before it starts, as a process of its own: what
// that leaves in memory is then no part of what is measured.
//
// Users are registered as the server does it, without passwords. Rooms are received as joined rooms are (see
// `EngineRoom`), with users of the server among their members.

import { Accounts } from '../../src/account/accounts.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import type { ServerName, UserId } from '../../src/event/ids.js';
import { DEFAULT_VERSION } from '../context.js';
import { EngineRoom } from '../engine-room.js';
import { userIds } from '../rooms.js';

/** What is wanted. */
export interface WorldRequest {
  readonly folder: string;
  readonly serverName: string;
  readonly smallMembers: number;
  readonly largeMembers: number;
  /** Events since the two tokens from which a sync goes on. */
  readonly oldEvents: number;
  readonly newEvents: number;
  /** State keys that change while the one and the other is away. */
  readonly changedKeys: number;
  /** Users of the one and of the other large room who send, each from two devices. */
  readonly senders: number;
  /** Users who only wait for news, in rooms of ten. */
  readonly idlers: number;
}

/** Somebody who is logged in, and the room that they are in. */
export interface Inhabitant {
  readonly userId: string;
  readonly token: string;
  readonly roomId: string;
}

export interface World {
  readonly inSmall: Inhabitant;
  readonly inLarge: Inhabitant;
  /** With the seq from which their next sync goes on. */
  readonly longGone: Inhabitant & { readonly seq: number };
  readonly justGone: Inhabitant & { readonly seq: number };
  readonly senderTokens: readonly string[];
  readonly fewRoomId: string;
  readonly idlerTokens: readonly string[];
}

const AWAY_MEMBERS = 300;
const ROOM_OF_IDLERS = 10;
/** Messages that every room ends with, more than a timeline shows. */
const MESSAGES = 30;
const AT_ONCE = 500;

async function makeWorld(request: WorldRequest): Promise<World> {
  const engine = await openEngine({ path: request.folder, durability: 'os' });
  const accounts = await Accounts.open({ engine, serverName: request.serverName as ServerName });
  const builder = new WorldBuilder(engine, accounts);
  try {
    return await builder.build(request);
  } finally {
    await accounts.close();
    await engine.close();
  }
}

class WorldBuilder {
  readonly #engine: Engine;
  readonly #accounts: Accounts;

  constructor(engine: Engine, accounts: Accounts) {
    this.#engine = engine;
    this.#accounts = accounts;
  }

  async build(request: WorldRequest): Promise<World> {
    const { smallMembers, largeMembers, oldEvents, newEvents, changedKeys } = request;
    const senders = await this.#users('sender', request.senders);
    const few = await this.#room(senders, senders.length);
    const [small, large, old, recent] = await this.#users('dweller', 4);
    if (small === undefined || large === undefined || old === undefined || recent === undefined) {
      throw new Error('there are four users');
    }
    const smallRoom = await this.#room([small], smallMembers);
    const largeRoom = await this.#room([large, ...senders], largeMembers);
    const devices = [...senders, ...senders].map((userId) => this.#token(userId));
    return {
      inSmall: await this.#inhabitant(small, smallRoom),
      inLarge: await this.#inhabitant(large, largeRoom),
      longGone: await this.#away(old, oldEvents, changedKeys),
      justGone: await this.#away(recent, newEvents, changedKeys),
      senderTokens: await Promise.all(devices),
      fewRoomId: few.roomId,
      idlerTokens: await this.#idlers(request.idlers),
    };
  }

  async #users(name: string, count: number): Promise<UserId[]> {
    const names = Array.from({ length: count }, (_, i) => `${name}${i}`);
    return Promise.all(names.map((username) => this.#accounts.register({ username })));
  }

  async #token(userId: UserId): Promise<string> {
    return (await this.#accounts.startSession(userId)).accessToken;
  }

  async #inhabitant(userId: UserId, { roomId }: EngineRoom): Promise<Inhabitant> {
    return { userId, roomId, token: await this.#token(userId) };
  }

  /** A room of local users, the first of them its creator, and as many others as it takes. */
  async #room(locals: readonly UserId[], members: number, messages = MESSAGES): Promise<EngineRoom> {
    const others = userIds(members).slice(0, members - locals.length) as UserId[];
    const room = await EngineRoom.fill(this.#engine, [...locals, ...others], DEFAULT_VERSION);
    await receiveLine(room, messages, 0);
    return room;
  }

  /** Somebody whose room goes on for so many events while they are away. */
  async #away(
    userId: UserId,
    events: number,
    changedKeys: number,
  ): Promise<Inhabitant & { readonly seq: number }> {
    const room = await this.#room([userId], AWAY_MEMBERS);
    const inhabitant = await this.#inhabitant(userId, room);
    const seq = this.#engine.core.release.watermark;
    await receiveLine(room, events, changedKeys);
    return { ...inhabitant, seq };
  }

  async #idlers(count: number): Promise<string[]> {
    const users = await this.#users('idler', count);
    for (let at = 0; at < users.length; at += ROOM_OF_IDLERS) {
      const locals = users.slice(at, at + ROOM_OF_IDLERS);
      await this.#room(locals, locals.length, 1);
    }
    return Promise.all(users.map((userId) => this.#token(userId)));
  }
}

/** Messages one after another, and evenly among them new profiles, each of another member. */
async function receiveLine(room: EngineRoom, events: number, profiles: number): Promise<void> {
  const every = profiles === 0 ? Number.POSITIVE_INFINITY : Math.floor(events / profiles);
  for (let at = 0; at < events; at += AT_ONCE) {
    const built = Array.from({ length: Math.min(AT_ONCE, events - at) }, (_, i) => {
      const isProfile = (at + i) % every === 0 && (at + i) / every < profiles;
      return room.next(isProfile ? room.profile(room.user(1 + (at + i) / every)) : room.message());
    });
    await Promise.all(built.map((event) => room.receive(event)));
  }
}

const world = await makeWorld(JSON.parse(process.argv[2] ?? '{}') as WorldRequest);
// Only then: what is not yet on its way would be lost.
process.send?.(world, () => process.disconnect());
