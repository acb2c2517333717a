// Verdicts given on part of a room's state, and what becomes of them when the rest is there.
//
//   … ── bans Mallory ── Gina joins ── Mallory's message ── Mallory's second ── Alice's       at gamma.test,
//                                 └─── …                                                     which was not told of the ban

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import { rulesOf } from '../../src/event/rules.js';
import { type Engine, openEngine, openEngineOn } from '../../src/engine/engine.js';
import { fsck } from '../../src/engine/maintenance/fsck.js';
import { rebuild } from '../../src/engine/maintenance/rebuild.js';
import { collectGarbage } from '../../src/store/gc.js';
import { castKeys, SERVERS } from '../simulator/cast.js';
import { type Draft, openServers, type TestServer } from '../simulator/test-server.js';
import { copyOf, differences, dump } from './support/stores.js';

const test = suite('engine/revised-verdicts');

const ALICE = '@alice:alpha.test';
const MALLORY = '@mallory:beta.test';
const CAROL = '@carol:delta.test';
const GINA = '@gina:gamma.test';

const member = (userId: string, membership: string, sender = userId): Draft => ({
  type: 'm.room.member',
  sender,
  stateKey: userId,
  content: { membership },
});
const message = (sender: string, body: string, more: Partial<Draft> = {}): Draft => ({
  type: 'm.room.message',
  sender,
  content: { body },
  ...more,
});

/** Alpha's room with Mallory and Carol in it, and all servers' engines to sign for them. */
class Scene {
  readonly alpha: TestServer;
  readonly beta: TestServer;
  readonly gamma: TestServer;
  readonly delta: TestServer;
  /** Everything that is no lie, in its order. */
  readonly events: Pdu[] = [];

  private constructor(servers: readonly TestServer[]) {
    [this.alpha, this.beta, this.gamma, this.delta] = servers as [
      TestServer,
      TestServer,
      TestServer,
      TestServer,
    ];
  }

  static async open(version: string): Promise<Scene> {
    const rules = rulesOf(version);
    if (rules === undefined) throw new Error('a known version');
    const scene = new Scene(await openServers(SERVERS, rules));
    await scene.all(await scene.alpha.found(ALICE));
    await scene.send(scene.alpha, member(ALICE, 'join'));
    const users = rules.authorisation.creatorsArePrivileged ? {} : { [ALICE]: 100 };
    await scene.send(scene.alpha, {
      type: 'm.room.power_levels',
      sender: ALICE,
      stateKey: '',
      content: { users },
    });
    await scene.send(scene.alpha, {
      type: 'm.room.join_rules',
      sender: ALICE,
      stateKey: '',
      content: { join_rule: 'public' },
    });
    await scene.send(scene.beta, member(MALLORY, 'join'));
    await scene.send(scene.delta, member(CAROL, 'join'));
    return scene;
  }

  /** An event that every server takes. */
  async send(server: TestServer, draft: Draft): Promise<Pdu> {
    return this.all(await server.send(draft));
  }

  async all(event: Pdu): Promise<Pdu> {
    this.events.push(event);
    for (const server of [this.alpha, this.beta, this.gamma, this.delta]) await server.receive(event);
    return event;
  }

  get roomId() {
    return this.alpha.roomId;
  }

  /** The state before an event, as alpha knows it. */
  stateBefore(event: Pdu): EventId[] {
    return [...this.alpha.engine.stateAt(event.eventId, 'before').entries()].map(({ eventId }) => eventId);
  }

  /** A server that joined by this event, and was given these events as the state. */
  async joined(join: Pdu, state: readonly EventId[], isPartial: boolean): Promise<Engine> {
    const engine = await openEngine({ keys: castKeys, now: () => 1_700_000_000_000 });
    const chain = new Set<EventId>([...state, ...join.authEvents, this.events[0]?.eventId as EventId]);
    for (const id of chain) for (const auth of this.pdu(id).authEvents) chain.add(auth);
    await engine.receiveJoin({
      from: 'alpha.test',
      roomVersion: join.rules.version,
      event: join.json,
      state: state.map((id) => this.pdu(id).json),
      authChain: [...chain].map((id) => this.pdu(id).json),
      isPartial,
    });
    return engine;
  }

  pdu(id: EventId): Pdu {
    return this.alpha.known(id).pdu;
  }

  /** Takes in the events of a state, and completes the state before the join with it. */
  async complete(engine: Engine, join: Pdu) {
    const state = this.stateBefore(join);
    for (const { eventId, json } of this.events) {
      if (state.includes(eventId)) await engine.receive(json, { from: 'alpha.test', asOutlier: true });
    }
    return engine.completeState(join.eventId, state);
  }

  withoutMembers(state: readonly EventId[]): EventId[] {
    return state.filter((id) => this.pdu(id).type !== 'm.room.member');
  }

  async close(...engines: readonly Engine[]): Promise<void> {
    const servers = [this.alpha, this.beta, this.gamma, this.delta];
    for (const engine of [...servers.map((server) => server.engine), ...engines]) await engine.close();
  }
}

async function timelineOf(engine: Engine, roomId: string): Promise<EventId[]> {
  const ids: EventId[] = [];
  for await (const [, seq] of engine.store.timeline(engine.reader.room(roomId).number)) {
    const event = engine.reader.events.at(seq);
    if (event !== undefined) ids.push(event.pdu.eventId);
  }
  return ids;
}

async function checkSound(engine: Engine): Promise<void> {
  await engine.core.idle();
  assert.equal((await fsck(engine.store)).problems, []);
  const copy = await copyOf(engine.store);
  const before = await dump(copy);
  await rebuild(copy);
  assert.equal((await fsck(copy)).problems, []);
  const isIndex = (line: string): boolean => !/^(nodes|roots|rooms|traces|meta) /.test(line);
  assert.equal(differences(before.filter(isIndex), (await dump(copy)).filter(isIndex)), []);
  await copy.close();
}

for (const version of ['6', '10', '12']) {
  test(`version ${version}: what a banned user said is accepted while the ban is unknown, and rejected once it is known`, async () => {
    const scene = await Scene.open(version);
    const { alpha, beta, gamma, roomId } = scene;
    const oldJoin = beta.current('m.room.member', MALLORY) as Pdu;
    const beforeBan = [...beta.room.forwardExtremities] as EventId[];
    await scene.send(alpha, member(MALLORY, 'ban', ALICE));
    const join = await scene.send(gamma, member(GINA, 'join'));
    const engine = await scene.joined(join, scene.withoutMembers(scene.stateBefore(join)), true);

    // What it cites was asked for, as it is of any event.
    await engine.receive(oldJoin.json, { from: 'beta.test', asOutlier: true });
    // Mallory's server goes on as if nobody had been banned.
    const authEvents = beta.build(message(MALLORY, 'x', { prevEvents: beforeBan })).authEvents;
    assert.ok(authEvents.includes(oldJoin.eventId));
    const first = beta.build(message(MALLORY, 'I am here', { prevEvents: [join.eventId], authEvents }));
    assert.is((await engine.receive(first.json, { from: 'beta.test' })).verdict, 'accepted');
    await beta.engine.receive(first.json, { from: 'beta.test', givenState: scene.stateBefore(join) });
    const second = beta.build(
      message(MALLORY, 'still', { prevEvents: [first.eventId], authEvents, depth: first.depth + 1 }),
    );
    assert.is((await engine.receive(second.json, { from: 'beta.test' })).verdict, 'accepted');
    // Alice, whose server rejected these, says something beside them; and Gina after all of it.
    const beside = await alpha.send(message(ALICE, 'peace at last'));
    assert.is((await engine.receive(beside.json, { from: 'alpha.test' })).verdict, 'accepted');
    assert.equal(engine.forwardExtremities(roomId), [second.eventId, beside.eventId].sort());

    const full = await scene.joined(join, scene.stateBefore(join), false);
    for (const { json } of [first, second, beside]) await full.receive(json, { from: 'x' });

    const { revised } = await scene.complete(engine, join);
    assert.equal(
      revised.map(({ eventId, was, is }) => [eventId, was, is]),
      [
        [first.eventId, 'accepted', 'rejected'],
        [second.eventId, 'accepted', 'rejected'],
      ],
    );
    assert.equal(engine.forwardExtremities(roomId), full.forwardExtremities(roomId));
    assert.is(engine.currentState(roomId).root, full.currentState(roomId).root);
    assert.is(engine.currentState(roomId).membership(MALLORY), 'ban');
    assert.equal(await timelineOf(engine, roomId), await timelineOf(full, roomId));
    assert.is(engine.reader.event(first.eventId).verdict, 'rejected');
    assert.is(engine.reader.event(first.eventId).isPartial, false);
    await checkSound(engine);
    await scene.close(engine, full);
  });

  test(`version ${version}: what was rejected for a ban that is none is accepted, and comes last in the timeline`, async () => {
    const scene = await Scene.open(version);
    const { alpha, gamma, delta, roomId } = scene;
    const fork = scene.events.at(-1)?.eventId as EventId;
    const join = await scene.send(gamma, member(GINA, 'join'));
    // A ban on another branch, which is no part of the state before the join: the resident says that it is.
    const ban = await alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: [fork] });
    const lie = [...scene.withoutMembers(scene.stateBefore(join)), ban.eventId];
    const engine = await scene.joined(join, lie, true);
    assert.is(engine.currentState(roomId).membership(CAROL), 'ban');

    const said = await delta.send({ ...message(CAROL, 'why not'), prevEvents: [join.eventId] });
    const topic = await delta.send({
      type: 'm.room.message',
      sender: CAROL,
      content: { body: 'after all' },
      prevEvents: [said.eventId],
    });
    for (const { json } of [said, topic]) {
      assert.is((await engine.receive(json, { from: 'delta.test' })).verdict, 'rejected');
    }
    assert.equal(engine.forwardExtremities(roomId), [join.eventId]);
    const watermark = engine.core.release.watermark;

    const { revised } = await scene.complete(engine, join);
    assert.equal(
      revised.map(({ was, is }) => [was, is]),
      [
        ['rejected', 'accepted'],
        ['rejected', 'accepted'],
      ],
    );
    assert.equal(engine.forwardExtremities(roomId), [topic.eventId]);
    assert.is(engine.currentState(roomId).membership(CAROL), 'join');
    assert.equal((await timelineOf(engine, roomId)).slice(-2), [said.eventId, topic.eventId]);
    for (const { eventId } of [said, topic]) {
      const { timelineOrder = 0 } = engine.reader.event(eventId);
      assert.ok(timelineOrder > watermark && timelineOrder <= engine.core.release.watermark, 'it is news');
    }
    const completed = engine.partial.completedAfter(roomId, watermark);
    assert.equal(completed?.corrected, [['m.room.member', CAROL]]);
    await checkSound(engine);
    await scene.close(engine);
  });

  test(`version ${version}: a state event that could not be cited at first is found by resolution afterwards`, async () => {
    const scene = await Scene.open(version);
    const { alpha, gamma, delta, roomId } = scene;
    await scene.send(alpha, {
      type: 'm.room.power_levels',
      sender: ALICE,
      stateKey: '',
      content: { users: { [CAROL]: 50, ...(version === '12' ? {} : { [ALICE]: 100 }) } },
    });
    const fork = scene.events.at(-1)?.eventId as EventId;
    const join = await scene.send(gamma, member(GINA, 'join'));
    const ban = await alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: [fork] });
    const lie = [...scene.withoutMembers(scene.stateBefore(join)), ban.eventId];
    const engine = await scene.joined(join, lie, true);
    const name = (body: string): Draft => ({
      type: 'm.room.name',
      sender: CAROL,
      stateKey: '',
      content: { name: body },
      prevEvents: [join.eventId],
    });
    const one = await delta.send(name('one'));
    const kick = await delta.send({ ...member(MALLORY, 'leave', CAROL), prevEvents: [join.eventId] });
    const both = await delta.send(message(CAROL, 'met', { prevEvents: [one.eventId, kick.eventId] }));
    const target = scene.beta.current('m.room.member', MALLORY) as Pdu;
    await engine.receive(target.json, { from: 'delta.test', asOutlier: true });
    for (const { json } of [one, kick, both]) await engine.receive(json, { from: 'delta.test' });
    assert.is(engine.reader.event(kick.eventId).verdict, 'rejected');

    await scene.complete(engine, join);
    assert.is(engine.reader.event(kick.eventId).verdict, 'accepted');
    const full = await scene.joined(join, scene.stateBefore(join), false);
    for (const { json } of [one, kick, both]) await full.receive(json, { from: 'delta.test' });
    for (const { eventId } of [...scene.events, one, kick]) {
      // The one that was lied about is known, and accepted where it stands.
      const citers = ({ core }: Engine): EventId[] =>
        [...core.known.citedBy(eventId)].filter((id) => id !== ban.eventId).sort();
      assert.equal(citers(engine), citers(full), `who cites ${eventId}`);
    }
    // One more fork over them: what can be cited now counts in its resolution.
    const back = delta.build({ ...member(MALLORY, 'ban', CAROL), prevEvents: [kick.eventId] });
    for (const server of [engine, full]) await server.receive(back.json, { from: 'delta.test' });
    assert.equal(engine.forwardExtremities(roomId), full.forwardExtremities(roomId));
    assert.is(engine.currentState(roomId).root, full.currentState(roomId).root);
    await checkSound(engine);
    await scene.close(engine, full);
  });

  test(`version ${version}: an outlier that cited a wrongly rejected event is asked again when it gets its place`, async () => {
    const scene = await Scene.open(version);
    const { alpha, gamma, delta, roomId } = scene;
    const users = { [CAROL]: 50, ...(version === '12' ? {} : { [ALICE]: 100 }) };
    const levels = (more: object): Draft => ({
      type: 'm.room.power_levels',
      sender: CAROL,
      stateKey: '',
      content: { users, ...more },
    });
    await scene.send(alpha, { ...levels({}), sender: ALICE });
    const fork = scene.events.at(-1)?.eventId as EventId;
    const join = await scene.send(gamma, member(GINA, 'join'));
    const ban = await alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: [fork] });
    const lie = [...scene.withoutMembers(scene.stateBefore(join)), ban.eventId];
    const engine = await scene.joined(join, lie, true);
    const raised = await delta.send({ ...levels({ invite: 50 }), prevEvents: [join.eventId] });
    const kick = await delta.send(member(MALLORY, 'leave', CAROL));
    assert.ok(kick.authEvents.includes(raised.eventId));
    const target = scene.beta.current('m.room.member', MALLORY) as Pdu;
    await engine.receive(target.json, { from: 'delta.test', asOutlier: true });
    assert.is((await engine.receive(raised.json, { from: 'delta.test' })).verdict, 'rejected');
    const asOutlier = await engine.receive(kick.json, { from: 'delta.test', asOutlier: true });
    assert.is(asOutlier.verdict, 'rejected');

    await scene.complete(engine, join);
    assert.is(engine.reader.event(raised.eventId).verdict, 'accepted');
    assert.is((await engine.receive(kick.json, { from: 'delta.test' })).verdict, 'accepted');
    const full = await scene.joined(join, scene.stateBefore(join), false);
    for (const { json } of [raised, kick]) await full.receive(json, { from: 'delta.test' });
    for (const { eventId } of [...scene.events, raised, kick]) {
      const citers = ({ core }: Engine): EventId[] =>
        [...core.known.citedBy(eventId)].filter((id) => id !== ban.eventId).sort();
      assert.equal(citers(engine), citers(full), `who cites ${eventId}`);
    }
    assert.is(engine.currentState(roomId).root, full.currentState(roomId).root);
    await checkSound(engine);
    await scene.close(engine, full);
  });
}

test('of history that was wrongly rejected each event gets a place of its own, in order', async () => {
  const scene = await Scene.open('11');
  const { alpha, gamma, delta, roomId } = scene;
  const fork = scene.events.at(-1)?.eventId as EventId;
  const first = await scene.send(alpha, message(ALICE, 'first'));
  const said = [
    await scene.send(delta, message(CAROL, 'one')),
    await scene.send(delta, message(CAROL, 'two')),
  ];
  const ban = await alpha.send({ ...member(CAROL, 'ban', ALICE), prevEvents: [fork] });
  const join = await scene.send(gamma, member(GINA, 'join'));
  const engine = await scene.joined(join, scene.stateBefore(join), false);
  await engine.receive(ban.json, { from: 'alpha.test', asOutlier: true });
  const state = scene.stateBefore(first);
  const carol = delta.current('m.room.member', CAROL)?.eventId;
  const lie = [...state.filter((id) => id !== carol), ban.eventId];
  const history = [first, ...said];
  const verdicts = await engine.receiveHistory(
    history.map(({ json }) => json),
    {
      roomId,
      from: 'alpha.test',
      givenStates: new Map([[first.eventId, lie]]),
      partialStates: new Set([first.eventId]),
    },
  );
  assert.equal(
    verdicts.map(({ verdict }) => verdict),
    ['accepted', 'rejected', 'rejected'],
  );
  const { revised } = await engine.completeState(first.eventId, state);
  assert.is(revised.length, 2);
  const shown = await timelineOf(engine, roomId);
  assert.equal(
    shown.filter((id) => said.some(({ eventId }) => eventId === id)),
    said.map(({ eventId }) => eventId),
  );
  await checkSound(engine);
  await scene.close(engine);
});

test('a state that does not allow the join is refused, and the room stays as it is', async () => {
  const scene = await Scene.open('10');
  const { alpha, gamma, roomId } = scene;
  const join = await scene.send(gamma, member(GINA, 'join'));
  const ban = await alpha.send({
    ...member(GINA, 'ban', ALICE),
    prevEvents: [scene.events[3]?.eventId as EventId],
  });
  const engine = await scene.joined(join, scene.withoutMembers(scene.stateBefore(join)), true);
  const state = scene.stateBefore(join);
  for (const id of [...state, ban.eventId]) {
    await engine.receive(scene.pdu(id).json, { from: 'alpha.test', asOutlier: true });
  }
  const before = engine.currentState(roomId).root;
  const refused = async (ids: readonly EventId[]): Promise<void> => {
    let code = '';
    await engine.completeState(join.eventId, ids).catch((error: { code: string }) => (code = error.code));
    assert.is(code, 'CORE_STATE_REFUSED');
    assert.is(engine.currentState(roomId).root, before);
    assert.is(engine.partial.isPartial(roomId), true);
  };
  await refused([...state, ban.eventId]);
  await refused(state.filter((id) => scene.pdu(id).type !== 'm.room.create'));
  assert.is((await engine.completeState(join.eventId, state)).isNew, true);
  await checkSound(engine);
  await scene.close(engine);
});

test('what is incomplete is known again after a restart, and completed then', async () => {
  const scene = await Scene.open('11');
  const { gamma, roomId } = scene;
  const join = await scene.send(gamma, member(GINA, 'join'));
  const first = await scene.joined(join, scene.withoutMembers(scene.stateBefore(join)), true);
  const known = first.partial.get(join.eventId);
  assert.is(known?.from, 'alpha.test');
  const copy = await copyOf(first.store);
  await checkSound(first);
  await first.close();
  await rebuild(copy);

  const engine = await openEngineOn(copy, { keys: castKeys });
  assert.equal([...engine.partial.incomplete()], [known]);
  assert.is(engine.partial.isPartial(roomId), true);
  await scene.complete(engine, join);
  const again = await openEngineOn(await copyOf(engine.store));
  assert.equal([...again.partial.incomplete()], []);
  assert.is(again.partial.isPartial(roomId), false);
  assert.equal(again.partial.get(join.eventId), engine.partial.get(join.eventId));
  await again.close();
  await checkSound(engine);
  await scene.close(engine);
});

test('what only the incomplete state needed is collected, and all that is left is sound', async () => {
  const scene = await Scene.open('11');
  const { gamma } = scene;
  const join = await scene.send(gamma, member(GINA, 'join'));
  const engine = await scene.joined(join, scene.withoutMembers(scene.stateBefore(join)), true);
  const records = engine.store.counters().nodeRecords;
  await scene.complete(engine, join);
  await engine.core.idle();
  await collectGarbage(engine.store, { change: (changes) => engine.core.writer.changeRecords(changes) });
  assert.ok(engine.store.counters().nodeRecords <= records + 1);
  await checkSound(engine);
  await scene.close(engine);
});

test('a rejoin that brings all of the state ends the wait for it', async () => {
  const scene = await Scene.open('10');
  const { gamma, roomId } = scene;
  const join = await scene.send(gamma, member(GINA, 'join'));
  const engine = await scene.joined(join, scene.withoutMembers(scene.stateBefore(join)), true);
  const told = engine.partial.whenFull(roomId);
  const leave = await scene.send(gamma, member(GINA, 'leave'));
  await engine.receive(leave.json, { from: 'gamma.test' });
  const again = await scene.send(gamma, member(GINA, 'join'));
  await engine.receiveJoin({
    from: 'alpha.test',
    roomVersion: '10',
    event: again.json,
    state: scene.stateBefore(again).map((id) => scene.pdu(id).json),
    authChain: scene.events.map(({ json }) => json),
  });
  await told;
  assert.is(engine.partial.isPartial(roomId), false);
  assert.equal(
    [...engine.partial.incomplete()].map(({ eventId }) => eventId),
    [join.eventId],
  );
  await engine.partial.giveUp(join.eventId);
  assert.equal([...engine.partial.incomplete()], []);
  await checkSound(engine);
  await scene.close(engine);
});

test.run();
