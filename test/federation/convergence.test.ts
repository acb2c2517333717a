// Three whole homeservers in one room, and a network that loses, delays, repeats, reorders, cuts short and garbles
// what they say to each other, hangs, and falls apart: whatever happens meanwhile, once it is whole again all of
// them come to the same state, and nothing that a client was told was sent is lost or shown twice.
//
// A run is named by its seed; the seed in the failure replays it.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import { type TestUser, textOf } from '../client/harness.js';
import type { Fault } from './faults.js';
import { type Network, network, type Site } from './network.js';

const convergence = suite('convergence');

const STEPS = 60;
const FAULTS_IN_100 = 35;
/** Rounds of waiting after all is whole again; backoffs are at most hours. */
const ROUNDS_MAX = 60;

interface Person {
  readonly site: Site;
  readonly user: TestUser;
}

/** mulberry32, with ways to choose. */
class Chance {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0 === 0 ? 0 : ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  one<T>(items: readonly T[]): T {
    const item = items[this.below(items.length)];
    if (item === undefined) throw new Error('nothing to choose from');
    return item;
  }

  fault(): Fault | undefined {
    if (this.below(100) >= FAULTS_IN_100) return undefined;
    return this.one<Fault>([
      { kind: 'drop' },
      { kind: 'drop-answer' },
      { kind: 'delay', ms: 1 + this.below(5_000) },
      { kind: 'duplicate' },
      { kind: 'reorder' },
      { kind: 'truncate', bytes: this.below(200) },
      { kind: 'garbage' },
      { kind: 'garbage', status: 500, text: '{}' },
      { kind: 'hang' },
    ]);
  }
}

class Run {
  readonly net: Network;
  readonly chance: Chance;
  readonly people: Person[] = [];
  /** Events that clients were told were sent, by whom. */
  readonly acknowledged = new Map<EventId, Site>();
  roomId = '' as RoomId;
  #txn = 0;

  constructor(net: Network, chance: Chance) {
    this.net = net;
    this.chance = chance;
  }

  /** A room of three servers, in which everybody may do nearly everything. */
  async begin(version: string): Promise<void> {
    for (const [i, name] of ['alice', 'bob', 'carol'].entries()) {
      const site = this.net.site(i);
      this.people.push({ site, user: await site.harness.user(name) });
    }
    const [alice, ...others] = this.people as [Person, Person, Person];
    const created = await alice.site.harness.call(alice.user, 'POST', '/v3/createRoom', {
      preset: 'public_chat',
      room_version: version,
    });
    this.roomId = textOf(created.body['room_id']) as RoomId;
    for (const { site, user } of others) {
      const path = `/v3/join/${encodeURIComponent(this.roomId)}`;
      const joined = await site.harness.call(user, 'POST', path, {}, { query: { via: alice.site.name } });
      assert.is(joined.status, 200, JSON.stringify(joined.body));
      await this.net.settle();
    }
    const users = Object.fromEntries(this.people.map(({ user: { userId } }) => [userId, 100]));
    if (version === '12') delete users[alice.user.userId];
    await this.set(alice, 'm.room.power_levels', '', { users, state_default: 50, events: { 'x.note': 0 } });
    await this.net.settle();
    this.net.advance(5_000);
    await this.net.settle();
  }

  async set(person: Person, type: string, stateKey: string, content: JsonObject): Promise<void> {
    await this.#put(person, `state/${type}/${encodeURIComponent(stateKey)}`, content);
  }

  async say({ site, user }: Person, body: string): Promise<void> {
    await this.#put({ site, user }, `send/m.room.message/${++this.#txn}`, { msgtype: 'm.text', body });
  }

  async #put({ site, user }: Person, rest: string, content: JsonObject): Promise<void> {
    const path = `/v3/rooms/${encodeURIComponent(this.roomId)}/${rest}`;
    const { status, body } = await site.harness.call(user, 'PUT', path, content);
    if (status === 200) this.acknowledged.set(textOf(body['event_id']) as EventId, site);
    else assert.is(status, 403, JSON.stringify(body));
  }

  /** Somebody does something, or something happens to the network. */
  async step(i: number): Promise<void> {
    const { chance, net } = this;
    const person = chance.one(this.people);
    const other = chance.one(this.people);
    const what = chance.below(20);
    if (what < 8) await this.say(person, `${i} of ${person.site.name}`);
    else if (what < 10) await this.set(person, 'm.room.topic', '', { topic: `${i}` });
    else if (what < 12) await this.set(person, 'x.note', chance.one(['a', 'b', 'c']), { i });
    else if (what === 12)
      await this.set(person, 'm.room.join_rules', '', { join_rule: chance.one(['public', 'invite']) });
    else if (what === 13) await this.ban(person, `@guest${chance.below(3)}:elsewhere.test`);
    else if (what === 14) await this.levels(person, other);
    else if (what < 17) net.cut(person.site, other.site);
    else if (what === 17) net.heal();
    else net.advance(chance.below(20_000));
    await net.settle(3);
  }

  async ban(person: Person, userId: string): Promise<void> {
    await this.set(person, 'm.room.member', userId, { membership: this.chance.one(['ban', 'leave']) });
  }

  /** Takes power from somebody, or gives some to somebody who has none. */
  async levels(person: Person, { user }: Person): Promise<void> {
    const view = person.site.harness.home.engine.currentState(this.roomId);
    const id = view.get('m.room.power_levels') ?? '';
    const { content } = person.site.harness.home.engine.reader.event(id).pdu;
    const users = { ...(content['users'] as JsonObject) };
    if (users[user.userId] === undefined) return;
    users[user.userId] = this.chance.one([50, 100]);
    await this.set(person, 'm.room.power_levels', '', { ...content, users });
  }

  /** Everything is whole again: time passes until all agree, or far too long. */
  async heal(): Promise<void> {
    const { net } = this;
    net.faults = undefined;
    net.heal();
    for (let round = 0; round < ROUNDS_MAX && !this.agrees; round++) {
      net.advance(Math.min(3_600_000, 1_000 * 2 ** round));
      await net.settle();
      if (this.net.sites.every((site) => isIdle(site))) await this.readBack();
    }
  }

  /** Reads back as far as there is anything, as a client would: what a given state has bridged comes then. */
  async readBack(): Promise<void> {
    for (const { harness, federation } of this.net.sites) {
      const isOpen = (): boolean => harness.home.engine.backwardExtremities(this.roomId).length > 0;
      for (let page = 0; page < 10 && isOpen(); page++) await federation.gaps.backfill(this.roomId, 50);
    }
  }

  get agrees(): boolean {
    const roots = new Set(this.net.sites.map((site) => this.root(site)));
    return roots.size === 1 && this.lost.length === 0 && this.net.sites.every((site) => isIdle(site));
  }

  root({ harness }: Site): string {
    return harness.home.engine.currentState(this.roomId).root;
  }

  /** Acknowledged events that some server does not have in their place. */
  get lost(): string[] {
    return this.net.sites.flatMap(({ name, harness }) =>
      [...this.acknowledged].flatMap(([id, by]) => {
        const known = harness.home.engine.reader.events.get(id);
        return known?.isOutlier === false ? [] : [`${name} lacks ${id} of ${by.name}`];
      }),
    );
  }

  /** How often each event was released as one with a place, where that is not once. */
  async repeated({ harness }: Site): Promise<string[]> {
    const { engine } = harness.home;
    const counts = new Map<string, number>();
    const { watermark } = engine.core.release;
    for await (const { seqLast, events } of engine.released()) {
      for (const { row, timelineOrder } of events) {
        if (row.roomId !== this.roomId || timelineOrder === undefined) continue;
        counts.set(row.eventId, (counts.get(row.eventId) ?? 0) + 1);
      }
      if (seqLast >= watermark) break;
    }
    return [...counts].filter(([, count]) => count !== 1).map(([id]) => id);
  }
}

function isIdle({ federation }: Site): boolean {
  return federation.input.depths.events === 0 && federation.gaps.depths.events === 0;
}

async function run(seed: number, version: string): Promise<void> {
  const net = await network({ servers: 3, seed, tuning: { gaps: { treeEntriesMin: 1 } } });
  try {
    const run = new Run(net, new Chance(seed));
    await run.begin(version);
    net.faults = ({ request }) => (request.uri.startsWith('/_matrix/key') ? undefined : run.chance.fault());
    for (let i = 0; i < STEPS; i++) await run.step(i);
    await run.heal();
    const named = `seed ${seed}, version ${version}`;
    assert.equal(run.lost, [], named);
    assert.equal(net.sites.map(isIdle), [true, true, true], named);
    const [first, ...rest] = net.sites.map((site) => run.root(site));
    for (const root of rest) assert.is(root, first, named);
    for (const site of net.sites) assert.equal(await run.repeated(site), [], named);
  } finally {
    await net.close();
  }
}

for (const [i, version] of ['10', '11', '12'].entries()) {
  for (const seed of [1 + i, 101 + i]) {
    convergence(`room version ${version}, seed ${seed}: all agree once the network is whole again`, () =>
      run(seed, version),
    );
  }
}

convergence.run();
