// Random rooms joined with part of their state, gone on with, and completed: as if all of it had come at once.
//
// Model:      an engine that joined by the same event with all of the state, given the same events later.
// Strategy:   a seed makes a room (simulate.ts) and chooses a join in it, the members that are left out, the order in
//             which later events come, and when the state is completed: before, between or after them.
// Invariants: the same events have the same roots before and after them and are rejected alike; where nothing soft
//             failed, the same extremities and current state; both stores are sound.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import { ROOM_VERSIONS, type RoomVersionRules } from '../../src/event/rules.js';
import { type Engine, openEngine } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { Random } from '../../tools/generate/random.js';
import { castKeys } from './cast.js';
import { replayable, seedsOf } from './seeds.js';
import { simulated } from './simulate.js';
import type { TestServer } from './test-server.js';

const test = suite('simulated partial joins');

interface Report {
  joins: number;
  revised: number;
  events: number;
}

class PartialJoin {
  readonly #random: Random;
  readonly #resident: TestServer;
  readonly #join: Pdu;
  readonly #state: readonly EventId[];
  /** Events that are no ancestors of the join, in the order in which the resident got them. */
  readonly #later: readonly Pdu[];

  constructor(random: Random, resident: TestServer, events: ReadonlyMap<EventId, Pdu>, join: Pdu) {
    this.#random = random;
    this.#resident = resident;
    this.#join = join;
    const before = new Set([join.eventId]);
    for (const id of before) for (const prev of events.get(id)?.prevEvents ?? []) before.add(prev);
    this.#later = [...events.values()].filter(({ eventId }) => !before.has(eventId));
    this.#state = [...resident.engine.stateAt(join.eventId, 'before').entries()].map(
      ({ eventId }) => eventId,
    );
  }

  async compare(report: Report): Promise<void> {
    const full = await this.#joined(this.#state, false);
    const partial = await this.#joined(this.#kept(), true);
    const later = this.#shuffled();
    for (const event of later) await this.#give(full, event);
    report.revised += await this.#completed(partial, later);
    for (const engine of [full, partial]) await engine.core.idle();
    this.#check(full, partial);
    for (const engine of [full, partial]) assert.equal((await fsck(engine.store)).problems, []);
    report.joins++;
    report.events += later.length;
    await full.close();
    await partial.close();
  }

  /** Some members are left out, at times other entries too: a resident may do as it likes. */
  #kept(): EventId[] {
    const hidesMore = this.#random.oneIn(4);
    const { authEvents } = this.#join;
    return this.#state.filter((id) => {
      const { type } = this.#resident.known(id).pdu;
      if (type === 'm.room.create' || authEvents.includes(id)) return true;
      if (type === 'm.room.member') return this.#random.oneIn(4);
      return !hidesMore || !this.#random.oneIn(3);
    });
  }

  /** Mostly as the resident got them, with some moved to anywhere: they wait for those before them. */
  #shuffled(): Pdu[] {
    const events = [...this.#later];
    for (let i = 0; i < events.length; i++) {
      if (!this.#random.oneIn(5)) continue;
      const [moved] = events.splice(i, 1);
      if (moved !== undefined) events.splice(this.#random.below(events.length + 1), 0, moved);
    }
    return events;
  }

  async #completed(engine: Engine, later: readonly Pdu[]): Promise<number> {
    const at = this.#random.below(later.length + 1);
    for (const event of later.slice(0, at)) await this.#give(engine, event);
    for (const id of this.#chainOf(this.#state)) {
      await engine.receive(this.#resident.known(id).pdu.json, { from: 'resident', asOutlier: true });
    }
    await engine.core.idle();
    const completing = engine.completeState(this.#join.eventId, this.#state);
    for (const event of later.slice(at)) await this.#give(engine, event);
    const { isNew, revised } = await completing;
    assert.is(isNew, true);
    return revised.length;
  }

  async #joined(state: readonly EventId[], isPartial: boolean): Promise<Engine> {
    const engine = await openEngine({ keys: castKeys });
    const json = (id: EventId) => this.#resident.known(id).pdu.json;
    await engine.receiveJoin({
      from: 'resident',
      roomVersion: this.#resident.rules.version,
      event: this.#join.json,
      state: state.map(json),
      authChain: this.#chainOf([...state, ...this.#join.authEvents]).map(json),
      isPartial,
    });
    return engine;
  }

  #chainOf(ids: readonly EventId[]): EventId[] {
    const chain = new Set(ids);
    for (const id of chain) for (const auth of this.#resident.known(id).pdu.authEvents) chain.add(auth);
    if (this.#resident.rules.authorisation.createIsImplied) chain.add(this.#resident.room.createEventId);
    return [...chain];
  }

  /** With what it cites, as it would be fetched. */
  async #give(engine: Engine, event: Pdu): Promise<void> {
    for (const id of this.#chainOf(event.authEvents)) {
      if (engine.core.known.has(id)) continue;
      await engine.receive(this.#resident.known(id).pdu.json, { from: 'resident', asOutlier: true });
    }
    await engine.receive(event.json, { from: event.sender });
  }

  #check(full: Engine, partial: Engine): void {
    let softFailed = 0;
    for (const { eventId } of [this.#join, ...this.#later]) {
      const [expected, found] = [full.reader.events.get(eventId), partial.reader.events.get(eventId)];
      if (expected === undefined || expected.isOutlier) {
        assert.ok(found === undefined || found.isOutlier, `${eventId} has no place`);
        continue;
      }
      if (expected.verdict === 'soft_failed' || found?.verdict === 'soft_failed') softFailed++;
      assert.is(found?.isPartial, false, `the state at ${eventId} is whole`);
      if (found === undefined) return;
      assert.is(found.verdict === 'rejected', expected.verdict === 'rejected', `is ${eventId} rejected?`);
      for (const side of ['before', 'after'] as const) {
        assert.is(
          partial.stateAt(eventId, side).root,
          full.stateAt(eventId, side).root,
          `state ${side} ${eventId}`,
        );
      }
    }
    if (softFailed > 0) return;
    const { roomId } = this.#resident;
    assert.equal(partial.forwardExtremities(roomId), full.forwardExtremities(roomId));
    assert.is(partial.currentState(roomId).root, full.currentState(roomId).root);
  }
}

async function run(rules: RoomVersionRules, seed: number, report: Report): Promise<void> {
  const random = new Random(String(seed), `partial join of version ${rules.version}`);
  await simulated(rules, String(seed), async ([resident], events) => {
    if (resident === undefined) throw new Error('a room has a server');
    const joins = [...events.values()].filter(({ eventId, type, stateKey, sender, content, prevEvents }) => {
      const isJoin = type === 'm.room.member' && stateKey === sender && content['membership'] === 'join';
      return isJoin && prevEvents.length > 0 && resident.known(eventId).verdict === 'accepted';
    });
    for (let i = 0; i < 2; i++) {
      await new PartialJoin(random, resident, events, random.pick(joins)).compare(report);
    }
  });
}

const report: Report = { joins: 0, revised: 0, events: 0 };

for (const rules of ROOM_VERSIONS) {
  const seeds = seedsOf(rules, 5);
  if (seeds.length === 0) continue;
  test(`version ${rules.version}: completed, the state of ${seeds.length} rooms is that of a full join`, async () => {
    for (const seed of seeds) {
      await replayable('simulator/partial-joins', rules, seed, () => run(rules, seed, report));
    }
  });
}

test('something was tested: events came after the joins, and verdicts were revised', () => {
  if (report.joins < 100) return;
  assert.ok(report.events > report.joins * 5);
  assert.ok(report.revised > 10);
});

test.run();
