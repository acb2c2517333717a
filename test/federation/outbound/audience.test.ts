import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { EventId, RoomId, ServerName } from '../../../src/event/ids.js';
import { Audience, Audiences } from '../../../src/federation/outbound/audience.js';
import type { EventItem } from '../../../src/federation/outbound/items.js';
import { Alpha } from './alpha.js';

const test = suite('federation outbound audience');

const BETA = 'beta.test' as ServerName;
const GAMMA = 'gamma.test' as ServerName;
const ROOM = '!room:alpha.test' as RoomId;

function event(seq: number): EventItem {
  return {
    kind: 'event',
    seq,
    eventId: `$${seq}` as EventId,
    roomId: ROOM,
    leaving: new Set(),
    isPartial: false,
  };
}

const seqs = (events: readonly EventItem[]): number[] => events.map(({ seq }) => seq);

test('who waits already, or is behind, is not looked at for another event', () => {
  const audience = new Audience(new Set([BETA, GAMMA]));
  assert.equal([...audience.add(event(1))], [BETA, GAMMA]);
  audience.wait(BETA);
  audience.miss(GAMMA);
  for (let seq = 2; seq <= 1_000; seq++) assert.equal([...audience.add(event(seq))], []);
  assert.is(audience.count(BETA), 1_000);
  assert.is(audience.count(GAMMA), 0);
  assert.is(audience.newest?.seq, 1_000);
});

test('each is given what came since it was up to date, and is told of the next', () => {
  const audience = new Audience(new Set([BETA, GAMMA]));
  audience.add(event(1));
  audience.wait(BETA);
  audience.add(event(2));
  audience.wait(GAMMA);
  audience.add(event(3));
  assert.is(audience.first(GAMMA)?.seq, 2);
  assert.equal(seqs(audience.take(BETA)), [1, 2, 3]);
  assert.equal([...audience.add(event(4))], [BETA]);
  assert.equal(seqs(audience.take(GAMMA)), [2, 3, 4]);
  assert.ok(audience.isQuiet);
});

test('who falls behind leaves the first and the last of what waited, and comes back up to date', () => {
  const audience = new Audience(new Set([BETA]));
  for (let seq = 1; seq <= 3; seq++) {
    audience.add(event(seq));
    if (seq === 1) audience.wait(BETA);
  }
  assert.equal(seqs(audience.giveUp(BETA)), [1, 3]);
  assert.equal([...audience.add(event(4))], []);
  audience.caughtUp(BETA);
  assert.equal([...audience.add(event(5))], [BETA]);
});

test('events are kept for as long as somebody waits for them, and those who wait are looked at now and then', () => {
  const audience = new Audience(new Set([BETA, GAMMA]));
  let looked = 0;
  for (let seq = 1; seq <= 640; seq++) {
    audience.add(event(seq));
    if (seq === 1) audience.wait(BETA);
    if (seq === 200) audience.wait(GAMMA);
    looked += audience.suspects().length;
    audience.tidy();
    if (seq === 300) assert.equal(seqs(audience.take(BETA)).length, 300);
  }
  assert.ok(looked > 0 && looked <= 20);
  assert.equal(seqs(audience.take(GAMMA)).at(0), 200);
});

test('a room has one audience for as long as its servers are the same', () => {
  const audiences = new Audiences();
  const servers = new Set([BETA]);
  const first = audiences.of(ROOM, servers);
  assert.is(audiences.of(ROOM, servers), first);
  assert.is.not(audiences.of(ROOM, new Set([BETA, GAMMA])), first);
});

test('what waits of several rooms is sent in the order in which it was said, whoever came and went', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  const second = await at.room();
  await at.join(beta, beta.user, second);
  await at.settle();
  beta.clear();
  beta.mood = 'down';
  const said = Array.from({ length: 90 }, (_, i) => String(i));
  for (const [i, body] of said.entries()) {
    await at.say(body, i % 3 === 0 ? second : at.roomId);
    if (i === 30) await at.other('gamma.test');
  }
  await at.settle();
  beta.mood = 'up';
  await at.pass(60_000);
  assert.equal(beta.messages, said);
  assert.is(at.federation.sender.stats().destinations, 0);
  await at.close();
});

test('who is behind is sent the newest of a room, also where others joined since', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'down';
  await at.say('begun');
  await at.settle();
  for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
  await at.say('missed');
  await at.other('gamma.test');
  for (const body of ['more', 'newest']) await at.say(body);
  await at.settle();
  beta.mood = 'up';
  await at.pass(3_600_000);
  assert.equal(beta.messages, ['begun', 'newest']);
  await at.say('after');
  await at.settle();
  assert.is(beta.messages.at(-1), 'after');
  await at.close();
});

test.run();
