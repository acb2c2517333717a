import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { suite } from 'uvu';
import * as assert from 'uvu/assert';
import type { UserId } from '../../../src/event/ids.js';
import { own } from '../../../src/event/json.js';
import { relayRecord } from '../../../src/federation/outbound/fan-out.js';
import { type LedgerRow } from '../../../src/federation/outbound/ledger.js';
import { ALPHA, Alpha, member } from './alpha.js';

const test = suite('federation outbound sender');

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

async function rowsOf(at: Alpha): Promise<LedgerRow[]> {
  const rows: LedgerRow[] = [];
  for await (const [, row] of at.harness.home.engine.queue<LedgerRow>('outbound').entries()) rows.push(row);
  return rows;
}

async function inFolder(run: (folder: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'stateroom-'));
  try {
    await run(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

test('our events go to every server in the room, once, in order, and to no other', async () => {
  const at = await Alpha.open();
  const [beta, gamma] = [await at.other(), await at.other('gamma.test')];
  const elsewhere = await at.room();
  for (const body of numbers(1, 120)) await at.say(body);
  await at.say('elsewhere', elsewhere);
  await at.settle();
  assert.equal(beta.messages, numbers(1, 120));
  assert.equal(gamma.messages, numbers(1, 120));
  assert.ok(beta.sent.every(({ pdus, edus }) => pdus.length <= 50 && edus.length <= 100));
  assert.is(new Set(beta.sent.map(({ id }) => id)).size, beta.sent.length);
  await at.close();
});

test('events of others are not passed on, unless that is asked for, and then not to who has them', async () => {
  const at = await Alpha.open();
  const [beta, gamma, delta] = [await at.other(), await at.other('gamma.test'), await at.other('delta.test')];
  const said = {
    type: 'm.room.message',
    sender: beta.user,
    content: { msgtype: 'm.text', body: 'from beta' },
  };
  const { eventId } = await at.from(beta, said);
  await at.settle();
  assert.equal(
    [beta, gamma, delta].map(({ sent }) => sent.length),
    [0, 0, 0],
  );
  await at.harness.home.engine.internal.write([relayRecord(eventId, [beta.name])]);
  await at.settle();
  assert.equal(
    [beta, gamma, delta].map(({ messages }) => messages),
    [[], ['from beta'], ['from beta']],
  );
  await at.close();
});

test('an event that was taken in for another server is passed on, also when all ends right after its commit', () =>
  inFolder(async (folder) => {
    const at = await Alpha.open({ folder });
    const [beta, gamma] = [await at.other(), await at.other('gamma.test')];
    const { store } = at.harness.home.engine;
    const write = store.write.bind(store);
    let isOver = false;
    store.write = async (group) => {
      if (isOver) throw new Error('the process is no more');
      await write(group);
      isOver = group.events.some(({ row }) => row.roomId === at.roomId);
    };
    const leave = at.build(beta, member(beta.user, 'leave'));
    const path = `${encodeURIComponent(at.roomId)}/${encodeURIComponent(leave.eventId)}`;
    const request = {
      destination: ALPHA,
      method: 'PUT',
      uri: `/_matrix/federation/v2/send_leave/${path}`,
      body: leave.json,
      isSigned: true,
      timeoutMs: 1_000,
      bytesMax: 10_000,
    } as const;
    await at.net.transport(beta.name).send(request);
    assert.ok(isOver);
    await at.kill();
    await at.settle();
    const told = gamma.sent.flatMap(({ pdus }) => pdus.map((pdu) => own(pdu, 'state_key')));
    assert.equal(told, [beta.user]);
    assert.equal(beta.sent, [], 'who gave it does not get it');
    assert.is(
      (await at.net.transport(beta.name).send(request)).status,
      200,
      'it is taken once, and answered again',
    );
    await at.settle();
    assert.is(gamma.sent.length, 1);
    await at.close();
  }));

test('who is thrown out hears of that and of nothing after it', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  await at.set('m.room.member', beta.user, { membership: 'ban' });
  await at.say('afterwards');
  await at.set('m.room.member', '@carol:gamma.test', { membership: 'invite' });
  const gamma = await at.other('delta.test');
  await at.settle();
  assert.equal(
    beta.sent.flatMap(({ pdus }) => pdus.map((pdu) => own(pdu, 'state_key'))),
    [beta.user],
  );
  assert.equal(gamma.messages, []);
  await at.close();
});

test('taking an invitation back is told to the server of who was invited', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  await at.leave(beta);
  await at.settle();
  beta.clear();
  await at.set('m.room.member', beta.user, { membership: 'invite' });
  await at.settle();
  assert.is(beta.sent.length, 0, 'an invitation goes by itself');
  await at.set('m.room.member', beta.user, { membership: 'leave' });
  await at.settle();
  assert.is(beta.sent.length, 1);
  await at.close();
});

test('a transaction whose answer was lost is sent again under the same id', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'deaf';
  await at.say('one');
  await at.settle();
  await at.say('two');
  await at.settle();
  assert.is(beta.sent.length, 1, 'nothing more is sent while it is left alone');
  beta.mood = 'up';
  await at.pass(5_000);
  assert.equal(beta.messages, ['one', 'one', 'two']);
  assert.is(beta.sent[0]?.id, beta.sent[1]?.id);
  assert.equal(beta.sent[0]?.pdus, beta.sent[1]?.pdus);
  assert.is.not(beta.sent[2]?.id, beta.sent[1]?.id);
  await at.close();
});

test('a short outage loses nothing: all that waited is sent, in order', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'down';
  for (const body of numbers(1, 130)) await at.say(body);
  await at.settle();
  assert.equal(beta.messages, []);
  beta.mood = 'up';
  await at.pass(60_000);
  assert.equal(beta.messages, numbers(1, 130));
  await at.close();
});

test('a server that is heard again is sent to at once', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'down';
  await at.say('one');
  await at.settle();
  beta.mood = 'up';
  at.federation.destinations.heard(beta.name);
  await at.settle();
  assert.equal(beta.messages, ['one']);
  await at.close();
});

test('after a long outage the newest event of each room is sent, and then all goes on as before', async () => {
  const at = await Alpha.open();
  const [beta, gamma] = [await at.other(), await at.other('gamma.test')];
  const second = await at.room();
  await at.join(beta, beta.user, second);
  await at.settle();
  beta.clear();
  beta.mood = 'down';
  await at.say('first');
  await at.settle();
  for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
  for (const body of numbers(1, 60)) await at.say(body);
  for (const body of numbers(61, 90)) await at.say(body, second);
  await at.settle();
  assert.is(at.federation.sender.stats().behind, 1);
  assert.is(at.federation.sender.stats().queued, 0);
  beta.mood = 'up';
  await at.pass(3_600_000);
  assert.equal(
    [...beta.messages].sort(),
    ['60', '90', 'first'].sort(),
    'what was begun, and the newest of each room',
  );
  assert.is(at.federation.sender.stats().behind, 0);
  await at.say('later');
  await at.settle();
  assert.is(beta.messages.at(-1), 'later');
  assert.is(gamma.messages.length, 62);
  await at.close();
});

test('ten thousand events for a server that is gone take no memory that grows, and few rows', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'down';
  for (let batch = 0; batch < 100; batch++) {
    await Promise.all(numbers(batch * 100 + 1, batch * 100 + 100).map((body) => at.say(body)));
    assert.ok(at.federation.sender.stats().queued <= 5_000);
  }
  await at.settle();
  const { queued, behind } = at.federation.sender.stats();
  assert.equal([queued, behind], [0, 1]);
  const rows = await rowsOf(at);
  assert.equal(rows.map(({ kind }) => kind).sort(), ['destination', 'position', 'room']);
  beta.mood = 'up';
  await at.pass(60_000);
  assert.ok(beta.messages.length <= 51, 'no flood');
  assert.ok(beta.messages.includes('10000'));
  await at.close();
});

test('who left a room during an outage gets what made it leave, not what came after', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'down';
  await at.say('begun');
  await at.settle();
  for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
  await at.say('missed');
  await at.set('m.room.member', beta.user, { membership: 'leave' });
  await at.say('secret');
  await at.settle();
  beta.mood = 'up';
  await at.pass(3_600_000);
  assert.equal(beta.messages, ['begun']);
  assert.is(own(beta.sent.at(-1)?.pdus.at(-1) ?? {}, 'state_key'), beta.user);
  await at.close();
});

test('a restart in the middle goes on where it was', () =>
  inFolder(async (folder) => {
    const at = await Alpha.open({ folder });
    const beta = await at.other();
    beta.mood = 'deaf';
    for (const body of numbers(1, 60)) await at.say(body);
    await at.settle();
    await at.restart();
    beta.mood = 'up';
    await at.say('61');
    await at.pass(60_000);
    const [first, again] = beta.sent;
    assert.is(first?.id, again?.id);
    assert.equal(first?.pdus, again?.pdus);
    assert.equal(
      beta.messages.slice(first?.pdus.length),
      numbers(1, 61),
      'nothing lost, nothing twice but the one',
    );
    await at.close();
  }));

test('nothing is lost and nothing doubled but a transaction by a kill', () =>
  inFolder(async (folder) => {
    const at = await Alpha.open({ folder });
    const [beta, gamma] = [await at.other(), await at.other('gamma.test')];
    gamma.mood = 'down';
    for (const body of numbers(1, 70)) {
      await at.say(body);
      if (body === '30') beta.mood = 'deaf';
      if (body === '31') await at.settle();
    }
    await at.kill();
    beta.mood = 'up';
    gamma.mood = 'up';
    await at.say('71');
    await at.pass(60_000);
    const byId = new Map(beta.sent.map((sent) => [sent.id, sent]));
    const once = [...byId.values()].flatMap(({ pdus }) => pdus.map((pdu) => own(pdu, 'depth')));
    assert.is(new Set(once).size, once.length, 'what came twice came under one id');
    assert.equal([...new Set(beta.messages)], numbers(1, 71));
    assert.equal(gamma.messages, numbers(1, 71));
    await at.close();
  }));

test('a kill during a long outage forgets no room', () =>
  inFolder(async (folder) => {
    const at = await Alpha.open({ folder });
    const beta = await at.other();
    const second = await at.room();
    await at.join(beta, beta.user, second);
    await at.settle();
    beta.clear();
    beta.mood = 'down';
    await at.say('begun');
    await at.settle();
    for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
    for (const body of numbers(1, 20)) await at.say(body);
    await at.say('other room', second);
    await at.settle();
    await at.kill();
    assert.is(at.federation.sender.stats().behind, 1);
    beta.mood = 'up';
    await at.pass(3_600_000);
    assert.equal([...beta.messages].sort(), ['20', 'begun', 'other room']);
    await at.close();
  }));

test('when all is delivered nothing is kept but the position', async () => {
  const at = await Alpha.open();
  const others = [await at.other(), await at.other('gamma.test')];
  for (const body of numbers(1, 10)) await at.say(body);
  await at.settle();
  await at.federation.sender.close();
  assert.equal(
    (await rowsOf(at)).map(({ kind }) => kind),
    ['position'],
  );
  assert.is(at.federation.sender.stats().destinations, 0);
  assert.ok(others.every(({ messages }) => messages.length === 10));
  await at.close();
});

test('what a server refuses again and again is given up, and what comes later is tried', async () => {
  const at = await Alpha.open();
  const beta = await at.other();
  beta.mood = 'refuses';
  await at.say('one');
  await at.settle();
  for (let waited = 0; waited < 12; waited++) await at.pass(120_000);
  assert.ok(at.federation.sender.stats().transactions.given_up > 0);
  beta.mood = 'up';
  await at.say('two');
  await at.pass(3_600_000);
  assert.ok(beta.messages.includes('two'));
  await at.close();
});

test('a fork is caught up with by all of its branches', async () => {
  const at = await Alpha.open();
  const [beta, gamma] = [await at.other(), await at.other('gamma.test')];
  beta.mood = 'down';
  await at.say('begun');
  await at.settle();
  for (let waited = 0; waited < 6; waited++) await at.pass(120_000);
  const said = (user: UserId, body: string) => ({ type: 'm.room.message', sender: user, content: { body } });
  await at.say('ours');
  await at.from(gamma, said(gamma.user, 'theirs'));
  await at.settle();
  beta.mood = 'up';
  await at.pass(3_600_000);
  assert.equal(beta.messages, ['begun', 'theirs'], 'the newest event, whoever sent it');
  await at.harness.home.engine.send(at.roomId, member(at.alice.userId, 'leave'));
  await at.settle();
  await at.close();
});

test.run();
