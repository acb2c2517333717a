// One simulated room: several real engines, a network between them that parts, delays, doubles and reorders,
// users who quarrel, and perhaps a server that lies.
//
// Model:      PlainRoom, the specification over plain maps, judging each event and each order of arrival.
// Strategy:   a seed decides everything. The room is founded in peace; then servers act while the network is
//             parted at random and deliver what reaches them in any order, some of it twice; then all is
//             delivered to all, and some servers send an event that merges what they see.
// Invariants: see check.ts.

import type { EventId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { RoomVersionRules } from '../../src/event/rules.js';
import { Random } from '../../tools/generate/random.js';
import { SERVERS } from './cast.js';
import { checkRoom, type RoomReport } from './check.js';
import { chooseDeed, type Scene } from './deeds.js';
import { lie } from './lies.js';
import { openServers, type TestServer } from './test-server.js';

/** Simulates the room of a seed. @throws what an invariant says that does not hold */
export async function simulate(rules: RoomVersionRules, seed: string): Promise<RoomReport> {
  return simulated(rules, seed, checkRoom);
}

/** Simulates the room of a seed, and looks at it before the servers are closed. */
export async function simulated<Result>(
  rules: RoomVersionRules,
  seed: string,
  look: (servers: readonly TestServer[], events: ReadonlyMap<EventId, Pdu>) => Promise<Result>,
): Promise<Result> {
  const simulation = await Simulation.open(rules, new Random(seed, `room of version ${rules.version}`));
  try {
    await simulation.found();
    await simulation.quarrel();
    await simulation.heal();
    await simulation.merge();
    return await look(simulation.servers, simulation.events);
  } finally {
    await simulation.close();
  }
}

/** Most deeds that an honest server tries in a turn, until the rules allow one. */
const TRIES_MAX = 3;

class Simulation {
  readonly servers: readonly TestServer[];
  /** Every event that any server let out, in the order in which they were made. */
  readonly events = new Map<EventId, Pdu>();
  readonly #random: Random;
  readonly #users: readonly string[];
  readonly #has = new Map<TestServer, Set<EventId>>();
  readonly #liar: TestServer | undefined;
  /** Which part of the network a server is in. */
  #parts: ReadonlyMap<TestServer, number> = new Map();

  private constructor(servers: readonly TestServer[], random: Random) {
    this.servers = servers;
    this.#random = random;
    for (const server of servers) this.#has.set(server, new Set());
    this.#users = servers.flatMap((server) =>
      ['a', 'b', 'c'].slice(0, random.between(1, 3)).map((name) => server.user(name)),
    );
    this.#liar = random.oneIn(2) ? random.pick(servers) : undefined;
  }

  static async open(rules: RoomVersionRules, random: Random): Promise<Simulation> {
    const servers = await openServers(SERVERS.slice(0, random.between(2, 4)), rules);
    return new Simulation(servers, random);
  }

  async close(): Promise<void> {
    for (const server of this.servers) await server.engine.close();
  }

  /** The founder's room, with some who joined it and one or two who may do more than others. */
  async found(): Promise<void> {
    const [first] = this.servers;
    const [founder] = this.#users;
    if (first === undefined || founder === undefined) throw new Error('a room has a founder');
    const { authorisation } = first.rules;
    await this.#share(await first.found(founder));
    const helpers = this.#users.slice(1).filter(() => this.#random.oneIn(2));
    const users: JsonObject = Object.fromEntries([
      ...(authorisation.creatorsArePrivileged ? [] : [[founder, 100]]),
      ...helpers.map((user) => [user, this.#random.pick([50, 50, 75, 100])]),
    ]);
    const opening: (readonly [type: string, content: JsonObject])[] = [
      ['m.room.power_levels', { users, state_default: 50, invite: 0 }],
      ['m.room.join_rules', { join_rule: 'public' }],
    ];
    await this.#sendToAll(first, 'm.room.member', founder, { membership: 'join' });
    for (const [type, content] of opening) await this.#sendToAll(first, type, founder, content, '');
    for (const server of this.servers) {
      for (const user of this.#usersOf(server)) {
        if (user === founder || this.#random.oneIn(4)) continue;
        await this.#sendToAll(server, 'm.room.member', user, { membership: 'join' });
      }
    }
  }

  /** Turns in which servers act and deliver while the network parts and heals. */
  async quarrel(): Promise<void> {
    const turns = this.#random.between(20, 80);
    for (let turn = 0; turn < turns; turn++) {
      if (turn === 0 || this.#random.oneIn(7)) this.#part();
      const server = this.#random.pick(this.servers);
      if (this.#random.oneIn(3)) await this.#deliver(server, this.#random.between(1, 6));
      else await this.#act(server);
    }
  }

  /** All events to all servers. */
  async heal(): Promise<void> {
    this.#parts = new Map();
    for (const server of this.servers) await this.#deliver(server, Number.MAX_SAFE_INTEGER);
  }

  /** Some servers send an event on top of what they see: first each alone, then perhaps one that saw these. */
  async merge(): Promise<void> {
    for (const server of this.servers) if (this.#random.oneIn(2)) await this.#act(server);
    await this.heal();
    if (this.#random.oneIn(2)) await this.#act(this.#random.pick(this.servers));
    await this.heal();
  }

  async #sendToAll(
    server: TestServer,
    type: string,
    sender: string,
    content: JsonObject,
    stateKey: string = sender,
  ): Promise<void> {
    await this.#share(await server.send({ type, sender, stateKey, content }));
  }

  async #share(event: Pdu): Promise<void> {
    this.events.set(event.eventId, event);
    for (const server of this.servers) {
      await server.receive(event);
      this.#known(server).add(event.eventId);
    }
  }

  #part(): void {
    const count = this.#random.between(1, this.servers.length);
    this.#parts = new Map(this.servers.map((server) => [server, this.#random.below(count)]));
  }

  #known(server: TestServer): Set<EventId> {
    return this.#has.get(server) ?? new Set();
  }

  #usersOf(server: TestServer): string[] {
    return this.#users.filter((user) => user.endsWith(`:${server.name}`));
  }

  /** A user of the server tries something; the liar's server may sign it whatever the rules say. */
  async #act(server: TestServer): Promise<void> {
    const random = this.#random;
    const users = this.#usersOf(server);
    const joined = users.filter(
      (user) => server.current('m.room.member', user)?.content['membership'] === 'join',
    );
    const sender = random.pick(joined.length > 0 && !random.oneIn(6) ? joined : users);
    const events = [...this.#known(server)].filter((id) => server.engine.core.known.has(id));
    const scene: Scene = { random, server, sender, users: this.#users, events };
    if (server === this.#liar && random.oneIn(2)) {
      const lied = lie(chooseDeed(scene), scene);
      const { verdict } = await server.receive(lied);
      if (verdict !== 'dropped') this.#note(server, lied);
      return;
    }
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      const sent = await server.trySend(chooseDeed(scene));
      if (sent === undefined) continue;
      this.#note(server, sent);
      return;
    }
  }

  #note(server: TestServer, event: Pdu): void {
    this.events.set(event.eventId, event);
    this.#known(server).add(event.eventId);
  }

  /** Some of what the servers of its part of the network know reaches it, in any order, one in eight twice. */
  async #deliver(server: TestServer, limit: number): Promise<void> {
    const random = this.#random;
    const known = this.#known(server);
    const near = this.servers.filter((other) => this.#parts.get(other) === this.#parts.get(server));
    const reaching = new Set(near.flatMap((other) => [...this.#known(other)].filter((id) => !known.has(id))));
    const waiting = [...reaching];
    const batch: Pdu[] = [];
    while (waiting.length > 0 && batch.length < limit) {
      const event = this.events.get(random.take(waiting));
      if (event === undefined) throw new Error('what reaches a server was sent');
      known.add(event.eventId);
      batch.push(event);
      if (random.oneIn(8)) batch.push(random.pick(batch));
    }
    if (random.oneIn(2)) await Promise.all(batch.map(async (event) => server.receive(event)));
    else for (const event of batch) await server.receive(event);
    await server.engine.core.idle();
  }
}
