// Much at once: forks, long auth chains, floods of nonsense. Each event has its verdict, and memory is bounded.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId } from '../../src/event/ids.js';
import type { JsonObject } from '../../src/event/json.js';
import type { Pdu } from '../../src/event/pdu.js';
import { rulesFor } from '../event/samples.js';
import type { Draft } from '../simulator/test-server.js';
import { alice, answer, give, leave, MEGABYTE, note, stage } from './stage.js';

const test = suite('storms');

for (const [version, count] of [
  ['1', 40],
  ['2', 40],
  ['11', 200],
  ['12', 40],
] as const) {
  test(`version ${version}: a storm on ${count} forks, each event with twenty predecessors`, async () => {
    const at = await stage(rulesFor(version));
    const { server, evil } = at;
    const heapBefore = process.memoryUsage().heapUsed;
    const prevEvents = [...evil.room.forwardExtremities];
    const { authEvents } = evil.build(note());
    const forks = Array.from({ length: count }, (_, i) =>
      evil.build(note({ stateKey: `${i}`, prevEvents, authEvents })),
    );
    const storm = forks.map((_, i) => {
      const prevs = Array.from({ length: 20 }, (_, k) => (forks[(i * 7 + k * 11) % count] as Pdu).eventId);
      return evil.build(note({ stateKey: `s${i}`, prevEvents: [...new Set(prevs)], authEvents, depth: 9 }));
    });
    const verdicts = await Promise.all([...storm, ...forks].map(async (event) => give(at, event.json)));
    assert.is(verdicts.length, 2 * count);
    await server.engine.core.idle();
    assert.is(server.engine.verdicts().accepted, 2 * count + 5);
    assert.is(server.engine.currentState(server.roomId).count('x.note'), 2 * count);
    await server.send({ type: 'm.room.message', sender: alice, content: { body: 'after the storm' } });
    assert.ok(process.memoryUsage().heapUsed - heapBefore < 512 * MEGABYTE, 'memory is bounded');
    await leave(at);
  });
}

for (const version of ['10', '12']) {
  test(`version ${version}: a fork over an auth chain of three thousand power levels`, async () => {
    const at = await stage(rulesFor(version));
    const { server, evil, levels } = at;
    const [tip] = server.room.forwardExtremities;
    const users = server.rules.authorisation.creatorsArePrivileged ? {} : { [alice]: 100 };
    const level = (invite: number): Draft => ({
      type: 'm.room.power_levels',
      sender: alice,
      stateKey: '',
      content: { users, state_default: 0, invite: invite % 90 },
    });
    const chain: Pdu[] = [];
    for (let i = 0; i < 3_000; i++) chain.push(await server.send(level(i)));
    const [low, high] = [chain[100] as Pdu, chain.at(-1) as Pdu];
    const fork = async (prev: EventId, stateKey: string): Promise<string> => {
      const event = server.build({ ...note({ sender: alice, stateKey }), prevEvents: [prev] });
      return answer(at, event.json);
    };
    // From before the levels, from the start of the chain and from its end: all in conflict with each other.
    assert.is(await fork(tip as EventId, 'first'), 'accepted OK');
    assert.is(await fork(low.eventId, 'low'), 'accepted OK');
    assert.is(await fork(high.eventId, 'high'), 'accepted OK');
    const rival = server.build({ ...level(7), prevEvents: [levels.eventId], originServerTs: 1 });
    assert.is(await answer(at, rival.json), 'accepted OK');
    const merge = await server.send({ type: 'm.room.message', sender: alice, content: { body: 'merged' } });
    assert.is(merge.prevEvents.length, 4);
    const state = server.engine.stateAt(merge.eventId);
    assert.is(state.count('x.note'), 3);
    assert.is(state.get('m.room.power_levels'), high.eventId, 'of two by one sender the later');
    await evil.engine.close();
    await server.engine.close();
  });
}

test('a thousand strangers hand in nonsense at once: a thousand verdicts', async () => {
  const at = await stage(rulesFor('11'));
  const { json } = at.evil.build(note());
  const inputs = Array.from({ length: 1_000 }, (_, i): string | JsonObject => {
    if (i % 4 === 0) return `{"type":${i}}`;
    if (i % 4 === 1) return { ...json, signatures: {}, origin_server_ts: i };
    if (i % 4 === 2) return { ...json, unsigned: { age: i } };
    return '{'.repeat(i);
  });
  const before = at.server.engine.verdicts();
  const verdicts = await Promise.all(inputs.map(async (input) => give(at, input)));
  const counts = at.server.engine.verdicts();
  assert.is(verdicts.filter(({ verdict }) => verdict === 'accepted').length, 1);
  assert.is(verdicts.filter(({ verdict }) => verdict === 'duplicate').length, 249);
  assert.is(verdicts.filter(({ verdict }) => verdict === 'dropped').length, 750);
  assert.equal([counts.duplicate - before.duplicate, counts.dropped - before.dropped], [249, 750]);
  await leave(at);
});

test.run();
