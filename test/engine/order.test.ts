// Properties of arrival: order, repetition, batches and refused events change nothing that the graph decides.
//
// Model:      the room's events given to a fresh engine in the order in which they were made.
// Strategy:   a room with three branches in conflict, merged; fast-check permutes, repeats and splits its events
//             and mixes in what the rules refuse. Its seed is printed with a counterexample.
// Invariants: the same root after every event, the same current root and extremities, the same refusals.

import fc from 'fast-check';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import { ROOM_VERSIONS, type RoomVersionRules, rulesOf } from '../../src/event/rules.js';
import { SERVERS } from '../simulator/cast.js';
import { deliver, openServers, type TestServer } from '../simulator/test-server.js';

const test = suite('order of arrival');
const alice = '@alice:alpha.test';
const bob = '@bob:beta.test';
const carol = '@carol:gamma.test';

interface Told {
  /** Accepted by the server that made them, in their order. */
  readonly events: readonly Pdu[];
  /** What the rules refuse, each built on some of `events`. */
  readonly refused: readonly Pdu[];
}

/** A room with three branches in conflict and their merge, and what a hostile server tried in it. */
async function tell(rules: RoomVersionRules): Promise<Told> {
  const servers = await openServers(SERVERS.slice(0, 3), rules);
  const [alpha, beta, gamma] = servers;
  if (alpha === undefined || beta === undefined || gamma === undefined) throw new Error('three servers');
  const events: Pdu[] = [];
  const everywhere = async (event: Pdu): Promise<void> => {
    events.push(event);
    for (const server of servers) await deliver(server, [event]);
  };
  const state = (sender: string, type: string, content: Pdu['content'], stateKey = '') => ({
    type,
    sender,
    stateKey,
    content,
  });
  const member = (sender: string, membership: string, user = sender) =>
    state(sender, 'm.room.member', { membership }, user);
  const founder = rules.authorisation.creatorsArePrivileged ? {} : { [alice]: 100 };
  await everywhere(await alpha.found(alice));
  await everywhere(await alpha.send(member(alice, 'join')));
  await everywhere(
    await alpha.send(state(alice, 'm.room.power_levels', { users: { ...founder, [bob]: 50, [carol]: 50 } })),
  );
  await everywhere(await alpha.send(state(alice, 'm.room.join_rules', { join_rule: 'public' })));
  await everywhere(await beta.send(member(bob, 'join')));
  await everywhere(await gamma.send(member(carol, 'join')));

  const apart = [
    await alpha.send(state(alice, 'm.room.power_levels', { users: { ...founder, [bob]: 50, [carol]: 0 } })),
    await alpha.send(state(alice, 'm.room.topic', { topic: 'of Alice' })),
    await beta.send(state(bob, 'm.room.topic', { topic: 'of Bob' })),
    await beta.send(state(bob, 'm.room.join_rules', { join_rule: 'invite' })),
    await gamma.send(state(carol, 'm.room.topic', { topic: 'of Carol' })),
    await gamma.send(state(carol, 'x.note', { by: 'Carol' }, 'only here')),
  ];
  for (const event of apart) await everywhere(event);
  // The merge follows every branch, soft failed or not: then no extremity is left that depends on arrival.
  const tips = [1, 3, 5].flatMap((i) => apart[i]?.eventId ?? []);
  const merge = alpha.build({
    ...state(alice, 'm.room.name', { name: 'merged' }),
    prevEvents: tips,
    authFrom: apart[0]?.eventId as EventId,
  });
  await everywhere(merge);
  assert.is(alpha.known(merge.eventId).verdict, 'accepted');

  const dave = gamma.user('dave');
  const lies = [
    gamma.build({ ...member(carol, 'ban', alice) }),
    gamma.build({ ...member(dave, 'join'), prevEvents: [apart[3]?.eventId as EventId] }),
    gamma.build(state(dave, 'm.room.topic', { topic: 'of nobody' })),
    gamma.build(state(carol, 'm.room.power_levels', { users: { [carol]: 100 } })),
  ];
  const [ban] = lies;
  if (ban === undefined) throw new Error('a lie was built');
  await deliver(gamma, lies);
  const cited = gamma.build({ type: 'm.room.message', sender: carol, content: { body: 'on top' } });
  const authEvents = [...cited.authEvents, ban.eventId];
  const refused = [...lies, gamma.build({ type: 'x.cites', sender: carol, content: {}, authEvents })];
  for (const server of servers) await server.engine.close();
  return { events, refused };
}

/** The root after each event, and the current one, on a server that got them in this way. */
async function rootsOf(
  rules: RoomVersionRules,
  arrivals: readonly (readonly Pdu[])[],
  asked: readonly Pdu[],
): Promise<string[]> {
  const server = await newServer(rules);
  for (const batch of arrivals) {
    await Promise.all(batch.map(async (event) => server.receive(event)));
    await server.engine.core.idle();
  }
  const { engine } = server;
  const roots = asked.map(({ eventId }) => engine.stateAt(eventId).root);
  roots.push(engine.currentState(server.roomId).root);
  roots.push(engine.reader.room(server.roomId).forwardExtremities.join(' '));
  await engine.close();
  return roots;
}

for (const version of ['1', '2', '3', '6', '10', '12']) {
  const rules = rulesOf(version) ?? ROOM_VERSIONS[0];
  if (rules === undefined) throw new Error(`no room version ${version}`);
  const told = tell(rules);
  const expected = told.then(async ({ events }) => rootsOf(rules, [events], events));

  test(`version ${version}: any permutation gives the same states`, async () => {
    const { events } = await told;
    const roots = await expected;
    await fc.assert(
      fc.asyncProperty(permutation(events), async (order) => {
        assert.equal(await rootsOf(rules, [pick(events, order)], events), roots);
      }),
      { numRuns: 40 },
    );
  });

  test(`version ${version}: events that come several times change nothing`, async () => {
    const { events } = await told;
    const roots = await expected;
    const twice = fc.tuple(permutation(events), fc.array(fc.nat(events.length - 1), { maxLength: 12 }));
    await fc.assert(
      fc.asyncProperty(twice, async ([order, again]) => {
        const arrival = pick(events, [...again, ...order, ...again]);
        assert.equal(await rootsOf(rules, [arrival], events), roots);
      }),
      { numRuns: 20 },
    );
  });

  test(`version ${version}: some of the events, and the rest later, give the same states`, async () => {
    const { events } = await told;
    const roots = await expected;
    const split = fc.tuple(permutation(events), fc.nat(events.length));
    await fc.assert(
      fc.asyncProperty(split, async ([order, at]) => {
        assert.equal(
          await rootsOf(rules, [pick(events, order.slice(0, at)), pick(events, order.slice(at))], events),
          roots,
        );
      }),
      { numRuns: 20 },
    );
  });

  test(`version ${version}: events that the rules refuse change no state, wherever they come`, async () => {
    const { events, refused } = await told;
    const roots = await expected;
    await fc.assert(
      fc.asyncProperty(permutation([...events, ...refused]), async (order) => {
        assert.equal(await rootsOf(rules, [pick([...events, ...refused], order)], events), roots);
      }),
      { numRuns: 30 },
    );
  });

  test(`version ${version}: what is refused is refused in any order, with one verdict`, async () => {
    const { events, refused } = await told;
    await fc.assert(
      fc.asyncProperty(permutation([...events, ...refused]), async (order) => {
        const server = await newServer(rules);
        await deliver(server, pick([...events, ...refused], order));
        for (const { eventId } of refused) assert.is(server.known(eventId).verdict, 'rejected');
        const { rejected, events: count } = server.engine.reader.room(server.roomId);
        assert.equal([rejected, count], [refused.length, events.length + refused.length]);
        await server.engine.close();
      }),
      { numRuns: 10 },
    );
  });
}

async function newServer(rules: RoomVersionRules): Promise<TestServer> {
  const [server] = await openServers(SERVERS.slice(0, 1), rules);
  if (server === undefined) throw new Error('one server was asked for');
  return server;
}

/** The places of a list in any order: numbers, so that a counterexample can be read. */
function permutation(items: readonly unknown[]): fc.Arbitrary<number[]> {
  return fc.shuffledSubarray([...items.keys()], { minLength: items.length });
}

function pick(events: readonly Pdu[], places: readonly number[]): Pdu[] {
  return places.flatMap((place) => events[place] ?? []);
}

test.run();
