// Records that land with an event from outside, or not at all.

import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import { internalRoomId } from '../../src/event/internal.js';
import type { Pdu } from '../../src/event/pdu.js';
import { rulesOf } from '../../src/event/rules.js';
import { SERVERS } from '../simulator/cast.js';
import { Clock, TestServer } from '../simulator/test-server.js';

const test = suite('engine/alongside');

const NOTES = internalRoomId('notes');

async function stage() {
  const rules = rulesOf('11');
  assert.ok(rules);
  const clock = new Clock();
  const [alpha, beta] = SERVERS;
  assert.ok(alpha && beta);
  const here = await TestServer.open(alpha, rules, clock);
  const there = await TestServer.open(beta, rules, clock);
  const bob = there.user('bob');
  const both = async (event: Pdu): Promise<void> => {
    for (const server of [here, there]) await server.receive(event);
  };
  await both(await there.found(bob));
  await both(
    await there.send({ type: 'm.room.member', sender: bob, stateKey: bob, content: { membership: 'join' } }),
  );
  const noted = (): string[] =>
    [...here.engine.internal.entries(NOTES, 'note')].map(({ stateKey }) => stateKey).sort();
  /** The verdict on an event that comes with a note. */
  const receive = async (event: Pdu, note: string): Promise<string> => {
    const alongside = [{ roomId: NOTES, type: 'note', stateKey: note, content: {} }];
    const { verdict } = await here.engine.receive(event.json, { from: beta, alongside });
    return verdict;
  };
  const close = async (): Promise<void> => {
    for (const { engine } of [here, there]) await engine.close();
  };
  return { here, there, bob, noted, receive, close };
}

test('records land in the commit group of an event that is accepted, once', async () => {
  const { here, there, bob, noted, receive, close } = await stage();
  const event = await there.send({ type: 'm.room.message', sender: bob, content: { body: 'one' } });
  const groups: string[][] = [];
  const write = here.engine.store.write.bind(here.engine.store);
  here.engine.store.write = (group) => {
    groups.push(group.events.map(({ row }) => row.roomId));
    return write(group);
  };
  assert.equal(await Promise.all([receive(event, 'first'), receive(event, 'twin')]), [
    'accepted',
    'duplicate',
  ]);
  assert.equal(noted(), ['first']);
  assert.ok(groups.some((rooms) => rooms.includes(here.roomId) && rooms.includes(NOTES)));
  assert.is(await receive(event, 'again'), 'duplicate');
  assert.equal(noted(), ['first']);
  await close();
});

test('of an event that is not allowed, or would wait, nothing is stored, and none of its records', async () => {
  const { here, there, bob, noted, receive, close } = await stage();
  const carol = there.user('carol');
  const stranger = there.build({ type: 'm.room.message', sender: carol, content: { body: 'let me in' } });
  assert.is(await receive(stranger, 'stranger'), 'dropped');
  const missing = await there.send({ type: 'm.room.message', sender: bob, content: { body: 'not sent' } });
  const early = await there.send({ type: 'm.room.message', sender: bob, content: { body: 'follows it' } });
  assert.is(await receive(early, 'early'), 'dropped');
  assert.is(here.engine.verdicts().waiting, 0);
  assert.equal(noted(), []);
  assert.is(await receive(missing, 'missing'), 'accepted');
  assert.is(await receive(early, 'in order'), 'accepted');
  assert.equal(noted(), ['in order', 'missing']);
  await close();
});

test.run();
