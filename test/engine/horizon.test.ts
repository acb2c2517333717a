// Events whose predecessors or auth events are missing: kept aside, counted, bounded, and taken when the gap
// closes, also after the engine was closed and opened again.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { Pdu } from '../../src/event/pdu.js';
import type { EngineOptions } from '../../src/engine/engine.js';
import { Random } from '../../tools/generate/random.js';
import { rulesFor } from '../event/samples.js';
import { SERVERS } from '../simulator/cast.js';
import { deliver, openServers, type TestServer } from '../simulator/test-server.js';

const test = suite('horizon');
const rules = rulesFor('11');
const alice = '@alice:alpha.test';

async function newServer(options: EngineOptions = {}): Promise<TestServer> {
  const [server] = await openServers(SERVERS.slice(0, 1), rules, options);
  if (server === undefined) throw new Error('one server was asked for');
  return server;
}

/** A room of a founder who says so many things, one upon the other. */
async function monologue(messages: number): Promise<Pdu[]> {
  const server = await newServer();
  const member = { type: 'm.room.member', sender: alice, stateKey: alice, content: { membership: 'join' } };
  const events = [await server.found(alice), await server.send(member)];
  const { eventId: createId } = events[0] as Pdu;
  const joinId = (events[1] as Pdu).eventId;
  for (let i = 0; i < messages; i++) {
    const body = `${i}`;
    const draft = {
      type: 'm.room.message',
      sender: alice,
      content: { body },
      authEvents: [createId, joinId],
    };
    events.push(await server.send(draft));
  }
  await server.engine.close();
  return events;
}

/** Those that wait for nothing but what waits too are not asked for. */
function missing({ engine }: TestServer): EventId[] {
  return [...engine.core.horizon.missing()].sort();
}

function checkWhole({ engine, roomId }: TestServer, events: readonly Pdu[]): void {
  const { events: count, forwardExtremities } = engine.reader.room(roomId);
  assert.is(count, events.length);
  assert.equal(forwardExtremities, [events.at(-1)?.eventId]);
  assert.is(engine.verdicts().waiting, 0);
  assert.equal([...engine.core.horizon.missing()], []);
}

test('what comes before its past waits, is counted, and names what is missing', async () => {
  const events = await monologue(4);
  const [create, member, first, second, third, fourth] = events as [Pdu, Pdu, Pdu, Pdu, Pdu, Pdu];
  const server = await newServer();
  await deliver(server, [create, member]);
  const [verdict] = await deliver(server, [third]);
  assert.equal([verdict?.verdict, verdict?.code, verdict?.seq], ['waiting', 'WAITING', undefined]);
  assert.match(verdict?.reason ?? '', second.eventId);
  await deliver(server, [fourth]);
  assert.is(server.engine.verdicts().waiting, 2);
  assert.is(server.engine.core.horizon.sizeOf(server.roomId), 2);
  assert.equal(missing(server), [second.eventId], 'the third waits itself and is not asked for');
  assert.is(server.engine.reader.room(server.roomId).events, 2, 'the room has not changed');

  await deliver(server, [second]);
  assert.equal(missing(server), [first.eventId]);
  await deliver(server, [first]);
  checkWhole(server, events);
  assert.is(server.engine.verdicts().accepted, events.length);
  await server.engine.close();
});

test('an event that waits and comes again still waits, and is kept once', async () => {
  const events = await monologue(3);
  const server = await newServer();
  const last = events.at(-1) as Pdu;
  await Promise.all([server.receive(last), server.receive(last)]);
  const verdicts = await deliver(server, [last, last]);
  assert.equal(
    verdicts.map(({ verdict }) => verdict),
    ['waiting', 'waiting'],
  );
  assert.is(server.engine.verdicts().waiting, 1);
  await deliver(server, events);
  checkWhole(server, events);
  assert.is(server.engine.verdicts().accepted, events.length);
  await server.engine.close();
});

test('an event waits for its auth events as well, and is judged when both have come', async () => {
  const events = await monologue(0);
  const [create, member] = events as [Pdu, Pdu];
  const server = await newServer();
  const [verdict] = await deliver(server, [member]);
  assert.is(verdict?.verdict, 'waiting');
  assert.equal(missing(server), [create.eventId]);
  await deliver(server, [create]);
  checkWhole(server, events);
  await server.engine.close();
});

test('the gap closes when its last event comes, in twenty random orders', async () => {
  const events = await monologue(40);
  for (let i = 0; i < 20; i++) {
    const random = new Random('horizon', `order ${i}`);
    const left = [...events];
    const server = await newServer();
    const taken = new Set<EventId>();
    while (left.length > 0) {
      const event = random.take(left);
      taken.add(event.eventId);
      await deliver(server, [event]);
      const reached = events.findIndex(({ eventId }) => !taken.has(eventId));
      const placed = reached === -1 ? events.length : reached;
      assert.is(server.engine.verdicts().accepted, placed);
      assert.is(server.engine.verdicts().waiting, taken.size - placed);
    }
    checkWhole(server, events);
    await server.engine.close();
  }
});

for (const [bound, limits] of [
  ['events', { eventsMax: 5, bytesMax: 1e9 }],
  ['bytes', { eventsMax: 1e9, bytesMax: 5 * 900 }],
] as const) {
  test(`a horizon full of ${bound} turns events away, and loses none that it said would wait`, async () => {
    const events = await monologue(12);
    const server = await newServer({ horizon: limits });
    const verdicts = await deliver(server, events.slice(3));
    const kept = verdicts.filter(({ verdict }) => verdict === 'waiting');
    const refused = verdicts.filter(({ verdict }) => verdict !== 'waiting');
    assert.ok(kept.length >= 5 && refused.length > 0, `${kept.length} wait, ${refused.length} do not`);
    for (const { verdict, code } of refused) assert.equal([verdict, code], ['dropped', 'HORIZON_FULL']);
    assert.is(server.engine.verdicts().waiting, kept.length);

    await deliver(server, events.slice(0, 3));
    for (const { eventId } of kept) assert.is(server.known(eventId as EventId).verdict, 'accepted');
    const again = await deliver(server, events);
    for (const { verdict } of again) assert.ok(verdict === 'duplicate' || verdict === 'accepted');
    checkWhole(server, events);
    await server.engine.close();
  });
}

test('what waits is kept over a restart, and taken when the gap closes then', async () => {
  const events = await monologue(12);
  const path = mkdtempSync(join(tmpdir(), 'stateroom-horizon-'));
  const open = async (): Promise<TestServer> => newServer({ path });
  try {
    const gap = [5, 9];
    let server = await open();
    await deliver(
      server,
      events.filter((_, i) => !gap.includes(i)),
    );
    const before = missing(server);
    assert.equal(before, gap.map((i) => events[i]?.eventId).sort());
    await server.engine.close();

    server = await open();
    assert.is(server.engine.verdicts().waiting, events.length - 5 - gap.length);
    assert.equal(missing(server), before);
    await deliver(server, [events[9] as Pdu]);
    await server.engine.close();

    server = await open();
    assert.equal(missing(server), [events[5]?.eventId as EventId]);
    await deliver(server, [events[5] as Pdu]);
    checkWhole(server, events);
    await server.engine.close();

    server = await open();
    await deliver(server, [events.at(-1) as Pdu]);
    checkWhole(server, events);
    await server.engine.close();
  } finally {
    rmSync(path, { recursive: true });
  }
});

test('a gap that closes while others are under way is closed before idle', async () => {
  const events = await monologue(60);
  const server = await newServer();
  const verdicts = await Promise.all([...events].reverse().map(async (event) => server.receive(event)));
  assert.is(verdicts.filter(({ verdict }) => verdict === 'waiting').length, events.length - 1);
  await server.engine.core.idle();
  checkWhole(server, events);
  await server.engine.close();
});

test('five thousand events in a row, the newest first, are all taken when the first comes', async () => {
  const events = await monologue(5_000);
  const server = await newServer();
  await Promise.all(
    events
      .slice(2)
      .reverse()
      .map(async (event) => server.receive(event)),
  );
  assert.is(server.engine.verdicts().waiting, 5_000);
  await deliver(server, events.slice(0, 2));
  checkWhole(server, events);
  await server.engine.close();
});

test('two thousand events that wait for one and the same are all taken when it comes', async () => {
  const source = await newServer();
  const [create, member] = await monologue(0);
  if (create === undefined || member === undefined) throw new Error('a room begins with two events');
  await deliver(source, [create, member]);
  const prevEvents = [member.eventId];
  const said = Array.from({ length: 2_000 }, (_, i) =>
    source.build({ type: 'm.room.message', sender: alice, content: { body: `${i}` }, prevEvents }),
  );
  const server = await newServer();
  await Promise.all([create, ...said].map(async (event) => server.receive(event)));
  assert.is(server.engine.verdicts().waiting, said.length);
  await deliver(server, [member]);
  assert.is(server.engine.verdicts().waiting, 0);
  assert.is(server.engine.reader.room(server.roomId).forwardExtremities.length, said.length);
  await server.engine.close();
  await source.engine.close();
});

test.run();
